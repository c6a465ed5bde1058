"""What people read: `feedback` on a submission, a `report` on a class, all `written` answers of a chapter.

`html` and `render` make all of it harmless and alike.
"""

"""What people read: `feedback` on a submission, a `report` on a class; `html` makes both harmless and alike."""

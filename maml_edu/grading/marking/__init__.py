"""Marking on a page: `server.serve` shows every answer that a person has to read, in a browser on this machine.

`desk` knows what there is to read and writes what is given; `render` makes what students wrote harmless;
`server` speaks HTTP on loopback; page.html, page.js and page.css are all that a browser gets.
"""

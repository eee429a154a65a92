"""SQLite files, which stores share the handling of: how one is opened, and the thread it belongs to."""

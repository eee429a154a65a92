-- Make room as record_put.lua does, where one step was not enough.
--
-- KEYS, ARGV[1] to ARGV[4] as in record_put.lua
-- Returns   bytes of all records; above the bound only when more would have had to be dropped.
--
-- Invariant: what was put last goes last.

return make_room(ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]))

-- KEYS: the page, the mark of freshness. ARGV: bytes, milliseconds that a page lives, and one that may be
-- fresh of a write that it misses.
local life = ARGV[2]
if redis.call('EXISTS', KEYS[2]) == 1 then
  life = ARGV[3]
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', life)
return 1

-- KEYS: the page, the mark of freshness. ARGV: bytes, lifetime of the page in ms, and its lifetime
-- in ms if it may miss the last write.
local life = ARGV[2]
if redis.call('EXISTS', KEYS[2]) == 1 then
  life = ARGV[3]
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', life)
return 1

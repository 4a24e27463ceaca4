-- KEYS: the generation, the mark of freshness. ARGV: lifetime of the mark in ms, the prefix of page
-- keys, the key of the page, the known generation. Pages are in the slot of both keys.
-- GETEX is GET, but counts as a write. A replica, which may have missed a write, rejects it.
local generation = redis.pcall('GETEX', KEYS[1])
if type(generation) ~= 'string' or not string.find(generation, '^%d+$')
    or tonumber(generation) >= 9000000000000000 then
  -- The generation was never set, or is lost. Begin a new one. The time of the last write is
  -- unknown, so the generation has not settled.
  local now = redis.call('TIME')
  generation = string.format('%.0f', now[1] * 1000000 + now[2])
  redis.call('SET', KEYS[1], generation)
  redis.call('SET', KEYS[2], '1', 'PX', ARGV[1])
  return {generation, 0, false}
end
local is_settled = 1 - redis.call('EXISTS', KEYS[2])
local page = false
if generation ~= ARGV[4] then
  page = redis.pcall('GET', ARGV[2] .. generation .. ':' .. ARGV[3])
  if type(page) ~= 'string' then
    page = false
  end
end
return {generation, is_settled, page}

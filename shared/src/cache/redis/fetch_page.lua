-- KEYS: the generation, the mark of freshness. ARGV: milliseconds that the mark lives, what pages begin
-- with, the page, the generation that is known already. Pages are of the slot that both keys are of.
-- As GET, but that it counts as a write: a replica, which may have missed one, refuses it.
local generation = redis.pcall('GETEX', KEYS[1])
if type(generation) ~= 'string' or not string.find(generation, '^%d+$')
    or tonumber(generation) >= 9000000000000000 then
  -- It was never there, or is lost: begin a new one. When the last write was, nobody knows.
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

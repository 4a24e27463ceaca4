-- KEYS: the task. ARGV: revision, bytes, milliseconds to live.
-- Only a task of a lower revision is replaced: nothing is put where none is held.
local held = redis.pcall('GET', KEYS[1])
if type(held) == 'string' then
  local is_json, task = pcall(cjson.decode, held)
  if is_json and type(task) == 'table' and type(task.revision) == 'number'
      and task.revision < tonumber(ARGV[1]) then
    local kept = redis.pcall('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
    if kept.err then
      -- There is no room for it, and what is held is older.
      redis.pcall('DEL', KEYS[1])
      return kept
    end
    return 1
  end
end
return 0

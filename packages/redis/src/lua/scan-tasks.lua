-- Looks through tasks of one queue, from a given id downwards. Uses record.lua, held.lua and place.lua.
-- Arguments: 1 where to begin, in the form of ZREVRANGEBYLEX; 2 most tasks to look at; 3 most to find; 4 filter as JSON:
--   {states, names: objects with true by letter or name, owner, group, key}, each only if it is asked for; 5 how many
--   ids have to enter the index first, empty for all that wait to.
-- Result: the last id looked at, empty at the end of the queue; then the ids found, highest first. Or, as a number, how
--   many ids have to enter the index still: then nothing was looked at.
-- Cost: O(tasks looked at), O(log n) per id that enters the index.
local unlisted = tonumber(ARGV[5]) or unlistedIds()
if unlisted > 0 then
  -- As many as others can wait for, in one script.
  local looked = completeIndex(math.min(unlisted, 1000))
  conclude()
  if looked > 0 and looked < unlisted then
    return { unlisted - looked }
  end
end
local filter = cjson.decode(ARGV[4])
local most, wanted = tonumber(ARGV[2]), tonumber(ARGV[3])
if largest() > LARGE then
  most = math.max(1, math.min(most, math.floor(MOST_AT_ONCE / largest())))
end
local ids = call('ZREVRANGEBYLEX', INDEX, ARGV[1], '-', 'LIMIT', 0, most)
local contents, runs = fetchMany(TASK, ids), fetchMany(RUN, ids)
local reply = { '' }

local function stateOf(content, run)
  local state = run and sub(run, 1, 1) or 'p'
  if state ~= 'p' then
    return state
  end
  return tonumber(run and sub(run, 44, 60) or firstDueOf(content)) > now and 'd' or 'p'
end

local function matches(content, run)
  if filter.states and not filter.states[stateOf(content, run)] then
    return false
  end
  if not (filter.names or filter.owner or filter.group or filter.key) then
    return true
  end
  local fields = fieldsOf(content)
  return (not filter.names or filter.names[fields[1]] == true) and (not filter.key or filter.key == fields[2])
    and (not filter.group or filter.group == fields[3]) and (not filter.owner or filter.owner == fields[4])
end

for number, id in ipairs(ids) do
  if contents[number] and matches(contents[number], runs[number]) then
    reply[#reply + 1] = id
  end
  if #reply > wanted then
    reply[1] = id
    return reply
  end
end
if #ids == most then
  reply[1] = ids[#ids]
end
return reply

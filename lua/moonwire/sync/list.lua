--- A first-in first-out list whose members can leave from anywhere in it at
--- once: those who wait, and give up. Not for scripts.
---
--- Members are tables; the list keeps its links in their fields `list`,
--- `before` and `behind`, false outside of it. A member is in one list at a time.
local List = {}
List.__index = List

--- An empty list.
---@return table
function List.new()
  local list = setmetatable({}, List)
  list.before, list.behind = list, list
  return list
end

--- The one that came first; nil when nobody is there.
---@return table?
function List:first()
  local first = self.behind
  return first ~= self and first or nil
end

--- Adds a member that is in no list.
---@param member table
function List:append(member)
  local last = self.before
  member.list, member.before, member.behind = self, last, self
  last.behind, self.before = member, member
end

--- Takes a member out of the list it is in, if it is in one.
---@param member table
function List.leave(member)
  if member.list then
    member.before.behind, member.behind.before = member.behind, member.before
    member.list, member.before, member.behind = false, false, false
  end
end

return List

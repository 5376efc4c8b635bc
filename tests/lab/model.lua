--[[
model.lua - the lab's sender reputation, added to stock rspamd. It is this lab's model and no
provider's; README.md says what it is for and where its numbers come from.

What recipients did with a sender's mail stands in redis, written by learnd.c, at most once per
message, recipient and kind:

  rep:<From address>   hash  <kind>            over all recipient domains
                             <kind>@<domain>   at one recipient domain
                       kind = ham (rescued from Junk) | seen | answered | spam (moved into Junk)

A sender without history gets LAB_SENDER_UNKNOWN in full, enough for the Junk folder whatever Bayes
thinks; engagement at the recipient's domain takes it away, engagement elsewhere counts a little.
]]
local lua_redis = require "lua_redis"
local lua_util = require "lua_util"

local SCORE = 14.0        -- a sender nobody knows; the Junk threshold is 6
local FADED_AT = 12.0     -- engagement at which nothing of it is left
local POOL = 0.05         -- what one engagement at another domain is worth here
local WEIGHT = { ham = 1.0, seen = 0.25, answered = 0.5, spam = -2.0 }
local KINDS = { 'ham', 'seen', 'answered', 'spam' }

local redis_params = lua_redis.parse_redis_server('lab')

local function engagement(counts, first)
  local sum = 0.0
  for i, kind in ipairs(KINDS) do
    sum = sum + WEIGHT[kind] * (tonumber(counts[first + i - 1]) or 0)
  end
  return sum
end

local function check(task)
  local from = task:get_from('mime') or task:get_from('smtp')
  local rcpt = task:get_recipients('smtp')
  if not (from and from[1] and from[1].addr and rcpt and rcpt[1] and rcpt[1].domain) then return end

  local address, domain = from[1].addr:lower(), rcpt[1].domain:lower()
  local command = { 'rep:' .. address }
  for _, kind in ipairs(KINDS) do command[#command + 1] = kind .. '@' .. domain end
  for _, kind in ipairs(KINDS) do command[#command + 1] = kind end

  lua_redis.redis_make_request(task, redis_params, address, false, function(err, counts)
    if err or type(counts) ~= 'table' then
      lua_util.debugm('lab', task, 'no reputation for %s: %s', address, err)
      counts = {}
    end
    local here = engagement(counts, 1)
    local all = engagement(counts, 1 + #KINDS)
    local known = here + POOL * (all - here)
    local rest = 1.0 - math.max(0.0, math.min(known, FADED_AT)) / FADED_AT
    if rest > 0 then
      task:insert_result('LAB_SENDER_UNKNOWN', rest,
        string.format('%s at %s: here=%.2f all=%.2f', address, domain, here, all))
    end
  end, 'HMGET', command)
end

local id = rspamd_config:register_symbol({ name = 'LAB_SENDER_CHECK', type = 'callback', callback = check })
rspamd_config:register_symbol({ name = 'LAB_SENDER_UNKNOWN', type = 'virtual', parent = id })
rspamd_config:set_metric_symbol({ name = 'LAB_SENDER_UNKNOWN', score = SCORE, group = 'lab',
  description = 'this recipient domain knows too little of the sender' })

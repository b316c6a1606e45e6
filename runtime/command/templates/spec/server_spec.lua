-- Run with ./svr.sh test, or tiny spec.
local spec = require "tiny.spec"
local Server = require "server"

describe("the server", function()
  local server

  before_each(function()
    spec.freeze()
    server = spec.server(Server, { conf = { ["@NAME@.interval"] = 2 } })
    server:on_start()
  end)
  after_each(spec.thaw)

  it("beats at its interval", function()
    spec.advance(7)
    assert.equal(3, server.context.beats)
    assert.same({ beats = 3 }, server:get_summary())
  end)

  it("counts on from what the last generation knew", function()
    server = spec.server(Server, { context = { beats = 40 } })
    server:on_start()
    server:beat()
    assert.equal(41, server.context.beats)
  end)
end)

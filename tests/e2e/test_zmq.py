# SPDX-License-Identifier: MIT
"""tiny.zmq, with pyzmq for peers. Skipped where that is not installed."""
import re
import select
import socket
import threading
import time
import unittest

from tiny_server import WAIT, ServerCase, free_port, wait_for

try:
    import zmq
except ImportError:
    zmq = None

SHOW = """
local function show(...)
  local parts = {}
  for i = 1, select("#", ...) do parts[i] = tostring((select(i, ...))) end
  tiny.log.info("got %s.", table.concat(parts, " | "))
end
"""


@unittest.skipUnless(zmq, "pyzmq is not installed")
class ZmqCase(ServerCase):
    def setUp(self):
        self.context = zmq.Context()
        self.peers = []
        self.addCleanup(self.context.destroy, linger=0)

    def peer(self, kind, connect=None, **options):
        """A socket of pyzmq's; without an endpoint it is bound, and says where as `at`."""
        peer = self.context.socket(kind)
        self.peers.append(peer)
        peer.rcvtimeo = peer.sndtimeo = WAIT * 1000
        for name, value in options.items():
            setattr(peer, name, value)
        if connect:
            peer.connect(connect)
            return peer
        port = peer.bind_to_random_port("tcp://127.0.0.1")
        return peer, f"tcp://127.0.0.1:{port}"

    def bind_when_free(self, kind, at):
        """A socket of pyzmq's on an endpoint that somebody leaves."""
        peer = self.context.socket(kind)
        self.peers.append(peer)

        def bound():
            try:
                peer.bind(at)
                return True
            except zmq.ZMQError:
                return False

        wait_for(bound, f"{at} to be free")
        return peer

    def serve(self, code, conf=None, rest=""):
        """A server whose on_start opens self.socket; returns it and where that is bound."""
        server = self.start(SHOW + f"""function S:on_start()
          local at = "tcp://127.0.0.1:*"
          {code}
          self:info("at %s.", self.socket:endpoint())
        end
        {rest}""", conf)
        return server, re.search(r"at (\S+)\.$", server.wait_line("INFO at ")).group(1)

    def got(self, server, times):
        server.wait_line("got ", times=times)
        return [line.split("got ", 1)[1] for line in server.lines("got ")]


class Types(ZmqCase):
    def test_request_and_reply(self):
        _server, at = self.serve("""self.socket = assert(tiny.zmq.socket("REP", { bind = at }))
          self.socket:on(function(...) self.socket:send("you said", ...) end)""")
        peer = self.peer(zmq.REQ, at)
        for parts in ([b"hello"], [b"a", b"", b"\0c"], [b"x" * 1000000]):
            peer.send_multipart(parts)
            self.assertEqual(peer.recv_multipart(), [b"you said", *parts])

    def test_we_ask_others(self):
        peer, at = self.peer(zmq.REP)
        server = self.start(SHOW + f"""function S:on_start()
          local socket = assert(tiny.zmq.socket("REQ", {{ connect = "{at}" }}))
          tiny.go(function()
            for i = 1, 3 do
              socket:send("question " .. i)
              show(socket:recv())
            end
            show(select(2, socket:recv(0.05)))
          end)
        end""")
        for i in range(1, 4):
            self.assertEqual(peer.recv(), b"question %d" % i)
            peer.send_multipart([b"answer", b"%d" % i])
        self.assertEqual(self.got(server, 4)[:3], ["answer | 1.", "answer | 2.", "answer | 3."])
        self.assertIn("EFSM", self.got(server, 4)[3])

    def test_push_and_pull(self):
        pull, to = self.peer(zmq.PULL)
        server, at = self.serve(f"""
          self.socket = assert(tiny.zmq.socket("PULL", {{ bind = at }}))
          local out = assert(tiny.zmq.socket("PUSH", {{ connect = "{to}" }}))
          self.socket:on(function(text) out:send(text:upper()) end)""")
        push = self.peer(zmq.PUSH, at)
        for i in range(1000):
            push.send(b"message %d" % i)
        self.assertEqual([pull.recv() for _ in range(1000)], [b"MESSAGE %d" % i for i in range(1000)])
        self.assertTrue(server.alive())

    def test_publishing_and_subscribing(self):
        publisher, to = self.peer(zmq.XPUB)
        server, at = self.serve(f"""
          self.socket = assert(tiny.zmq.socket("PUB", {{ bind = at }}))
          self.heard = assert(tiny.zmq.socket("SUB", {{ connect = "{to}", subscribe = {{ "a", "b" }} }}))
          self.heard:on(function(topic, text)
            show(topic, text)
            if text == "more" then self.heard:subscribe("c") self.heard:unsubscribe("a") end
            self.socket:send("echo." .. topic, text)
          end)""")
        self.assertEqual({publisher.recv(), publisher.recv()}, {b"\x01a", b"\x01b"})
        subscriber = self.peer(zmq.SUB, at)
        subscriber.subscribe(b"echo.b")
        time.sleep(0.2)
        for topic, text in ((b"a", b"1"), (b"x", b"2"), (b"b", b"more")):
            publisher.send_multipart([topic, text])
        self.assertEqual({publisher.recv(), publisher.recv()}, {b"\x01c", b"\x00a"})
        for topic, text in ((b"a", b"3"), (b"c", b"4")):
            publisher.send_multipart([topic, text])
        self.assertEqual(self.got(server, 3), ["a | 1.", "b | more.", "c | 4."])
        self.assertEqual(subscriber.recv_multipart(), [b"echo.b", b"more"])

    def test_router_and_dealer(self):
        _server, at = self.serve("""self.socket = assert(tiny.zmq.socket("ROUTER", { bind = at }))
          self.socket:on(function(id, number)
            tiny.sleep(number == "1" and 0.3 or 0)
            self.socket:send(id, number)
          end, 10)""")
        peers = [self.peer(zmq.DEALER, at) for _ in range(3)]
        peers[0].send(b"1")
        time.sleep(0.1)
        for peer in peers[1:]:
            peer.send(b"2")
            self.assertEqual(peer.recv(), b"2")  # side by side
        self.assertEqual(peers[0].recv(), b"1")

    def test_a_message_to_nobody_is_an_error_of_the_router(self):
        server, _at = self.serve("""self.socket = assert(tiny.zmq.socket("ROUTER", { bind = at }))
          show(self.socket:send("nobody", "x"))""")
        self.assertIn("EHOSTUNREACH", self.got(server, 1)[0])

    def test_pairs_inside_the_server(self):
        server = self.start(SHOW + """function S:on_start()
          local a = assert(tiny.zmq.socket("PAIR", { bind = "inproc://pair" }))
          local b = assert(tiny.zmq.socket("PAIR", { connect = "inproc://pair" }))
          a:send("to b") b:send("to a", "part")
          show(b:recv()) show(a:recv())
        end""")
        self.assertEqual(self.got(server, 2), ["to b.", "to a | part."])

    def test_addresses_of_all_kinds(self):
        for bind, connect in (("127.0.0.1", "localhost"), ("127.0.0.1", "127.0.0.1"), ("[::1]", "[::1]"), ("*", "localhost")):
            server = self.start(SHOW + f"""function S:on_start()
              local pull = assert(tiny.zmq.socket("PULL", {{ bind = "tcp://{bind}:*" }}))
              local port = pull:endpoint():match("%d+$")
              local push = assert(tiny.zmq.socket("PUSH", {{ connect = "tcp://{connect}:" .. port }}))
              push:send("arrived")
              show(pull:recv(30))
            end""")
            self.assertEqual(self.got(server, 1), ["arrived."])

    def test_xpub_and_xsub_make_a_forwarder(self):
        source, to = self.peer(zmq.PUB)
        _server, at = self.serve(f"""self.socket = assert(tiny.zmq.socket("XPUB", {{ bind = at }}))
          local up = assert(tiny.zmq.socket("XSUB", {{ connect = "{to}" }}))
          up:on(function(...) self.socket:send(...) end)
          self.socket:on(function(...) up:send(...) end)""")
        subscriber = self.peer(zmq.SUB, at)
        subscriber.subscribe(b"t")
        subscriber.rcvtimeo = 50
        for _ in range(200):
            source.send_multipart([b"t", b"x"])
            try:
                self.assertEqual(subscriber.recv_multipart(), [b"t", b"x"])
                return
            except zmq.Again:
                pass
        self.fail("nothing came through")


class Waiting(ZmqCase):
    def test_receiving_has_a_timeout(self):
        server, _at = self.serve("""self.socket = assert(tiny.zmq.socket("PULL", { bind = at }))
          show(self.socket:recv(0.05))""")
        self.assertEqual(self.got(server, 1), ["nil | timeout | ETIMEDOUT."])

    def test_sending_waits_at_the_high_water_mark(self):
        pull, to = self.peer(zmq.PULL, rcvhwm=10)
        server = self.start(SHOW + f"""function S:on_start()
          local socket = assert(tiny.zmq.socket("PUSH", {{ connect = "{to}", hwm = 10 }}))
          tiny.go(function()
            for i = 1, 3000 do
              assert(socket:send(("x"):rep(10000)))
              self:gauge("sent", i)
            end
            show("all sent")
          end)
          local full = assert(tiny.zmq.socket("PUSH", {{ bind = "inproc://nobody", send_timeout = 0.05 }}))
          show(full:send("x"))
        end""")
        server.wait_line("got nil | timeout | ETIMEDOUT.")
        time.sleep(0.2)
        self.assertLess(server.info()["app"]["sent"], 2900)
        for _ in range(3000):
            self.assertEqual(len(pull.recv()), 10000)
        server.wait_line("all sent")

    def test_cancelling_and_closing_end_waits(self):
        server, _at = self.serve("""self.socket = assert(tiny.zmq.socket("PULL", { bind = at }))
          local task = tiny.go(function() self.socket:recv() end)
          tiny.sleep(0.01)
          task:cancel()
          show(select(2, pcall(task.join, task)) == tiny.cancelled)
          local other = assert(tiny.zmq.socket("PULL", { bind = "inproc://other" }))
          tiny.go(function() show(select(3, other:recv())) end)
          tiny.sleep(0.01)
          other:close() other:close()
          show(select(3, other:recv()), select(3, other:send("x")))""")
        self.assertEqual(self.got(server, 3), ["true.", "ECANCELED | ECANCELED.", "ECANCELED."])

    def test_each_message_goes_to_one_of_the_tasks_that_wait(self):
        server, at = self.serve("""self.socket = assert(tiny.zmq.socket("PULL", { bind = at }))
          for i = 1, 3 do tiny.go(function()
            local text = self.socket:recv()
            show(text)
            tiny.sleep(3600)
          end) end""")
        push = self.peer(zmq.PUSH, at)
        for text in (b"a", b"b", b"c"):
            push.send(text)
        self.assertEqual(sorted(self.got(server, 3)), ["a.", "b.", "c."])

    def test_a_timeout_ends_waits(self):
        server, _at = self.serve("""self.socket = assert(tiny.zmq.socket("PULL", { bind = at }))
          show(tiny.timeout(0.05, function() return self.socket:recv() end))
          local full = assert(tiny.zmq.socket("PUSH", { bind = "inproc://full" }))
          show(tiny.timeout(0.05, function() return full:send("x") end))""")
        self.assertEqual(self.got(server, 2), ["nil | timeout."] * 2)

    def test_many_wait_to_send_and_all_are_served_in_turn(self):
        pull, to = self.peer(zmq.PULL, rcvhwm=1)
        server = self.start(SHOW + f"""function S:on_start()
          local socket = assert(tiny.zmq.socket("PUSH", {{ connect = "{to}", hwm = 1 }}))
          local tasks = {{}}
          for i = 1, 1000 do tasks[i] = tiny.go(function() assert(socket:send(tostring(i), ("x"):rep(5000))) end) end
          tiny.sleep(0.2)
          for i = 1, 1000, 10 do tasks[i]:cancel() end
          tiny.go(function()
            for i = 1, 1000 do pcall(tasks[i].join, tasks[i]) end
            show("all over")
          end)
        end""")
        seen = set()
        while not server.lines("all over") or pull.poll(200):
            if pull.poll(100):
                seen.add(int(pull.recv_multipart()[0]))
        self.assertLessEqual({i for i in range(1, 1001) if i % 10 != 1}, seen)

    def test_a_router_waits_for_one_full_peer_while_others_are_served(self):
        server, at = self.serve("""self.socket = assert(tiny.zmq.socket("ROUTER", { bind = at, hwm = 10 }))
          self.socket:on(function(id, text)
            for i = 1, text == "flood" and 2000 or 1 do assert(self.socket:send(id, text, ("x"):rep(10000))) end
            show(text .. " done")
          end, 10)""")
        slow, quick = self.peer(zmq.DEALER, at, rcvhwm=1), self.peer(zmq.DEALER, at)
        slow.send(b"flood")
        time.sleep(0.3)
        before = server.info()["cpu_seconds"]
        for _ in range(10):
            quick.send(b"quick")
            self.assertEqual(quick.recv_multipart()[0], b"quick")
            time.sleep(0.05)
        self.assertEqual(server.lines("flood done"), [])
        self.assertLess(server.info()["cpu_seconds"] - before, 0.4)  # it does not spin
        for _ in range(2000):
            slow.recv_multipart()
        server.wait_line("flood done")

    def test_a_flood_leaves_the_others_their_turn(self):
        server, at = self.serve("""self.socket = assert(tiny.zmq.socket("PULL", { bind = at, hwm = 100000 }))
          self:add_timer("tick", tiny.PeriodTimer(function() self:count("ticks") end, 0.01))
          tiny.go(function() while self.socket:recv() do self:count("messages") end end)""")
        push, stop = self.peer(zmq.PUSH, at, sndhwm=100000), threading.Event()

        def flood():
            while not stop.is_set():
                try:
                    push.send(b"x", zmq.DONTWAIT)
                except zmq.Again:
                    pass

        thread = threading.Thread(target=flood)
        thread.start()
        time.sleep(0.5)
        before = server.info()["app"]["ticks"]
        wait_for(lambda: server.info()["app"]["ticks"] >= before + 10, "the timer to fire")
        stop.set()
        thread.join()

    def test_an_error_in_a_handler_reaches_on_except_and_the_next_message_comes(self):
        server, at = self.serve("""self.socket = assert(tiny.zmq.socket("PULL", { bind = at }))
          self.socket:on(function(text) if text == "bad" then error("oh no") end show(text) end)""",
                                rest="function S:on_except(err, trace) self:info('except %s', err) return true end")
        push = self.peer(zmq.PUSH, at)
        push.send(b"bad")
        push.send(b"good")
        self.assertEqual(self.got(server, 1), ["good."])
        self.assertIn("oh no", server.wait_line("except"))


class Handlers(ZmqCase):
    def test_a_rep_whose_handler_fails_answers_nothing_and_goes_on(self):
        _server, at = self.serve("""self.socket = assert(tiny.zmq.socket("REP", { bind = at }))
          self.socket:on(function(text)
            if text == "before" then error("oh no") end
            self.socket:send("yes")
            if text == "after" then error("oh no") end
          end)""")
        peer = self.peer(zmq.REQ, at)
        for text, answer in ((b"before", b""), (b"after", b"yes"), (b"well", b"yes")):
            peer.send(text)
            self.assertEqual(peer.recv(), answer)

    def test_a_message_of_too_many_parts_is_dropped_and_told(self):
        for kind, peer_kind in (("REP", zmq.REQ), ("ROUTER", zmq.DEALER)):
            server, at = self.serve(f"""self.socket = assert(tiny.zmq.socket("{kind}", {{ bind = at }}))
              self.socket:on(function(...) self.socket:send(...) end)""")
            peer = self.peer(peer_kind, at)
            peer.send_multipart([b"x"] * 4001)
            if kind == "REP":
                self.assertEqual(peer.recv(), b"")
            peer.send_multipart([b"x"] * 3000)
            self.assertEqual(len(peer.recv_multipart()), 3000)
            server.wait_line("ERROR a ZeroMQ message of 400")

    def test_so_many_messages_are_in_hand_at_once(self):
        server, at = self.serve("""self.socket = assert(tiny.zmq.socket("PULL", { bind = at }))
          local now = 0
          self.socket:on(function()
            now = now + 1
            self:gauge("most", math.max(now, self.most or 0))
            self.most = math.max(now, self.most or 0)
            tiny.sleep(0.01)
            now = now - 1
            self:count("done")
          end, 5)""")
        push = self.peer(zmq.PUSH, at)
        for _ in range(50):
            push.send(b"x")
        wait_for(lambda: server.info()["app"].get("done") == 50, "all to be done")
        self.assertEqual(server.info()["app"]["most"], 5)

    def test_one_at_a_time_comes_in_order(self):
        server, at = self.serve("""self.socket = assert(tiny.zmq.socket("PULL", { bind = at }))
          self.context.last = 0
          self.socket:on(function(number)
            number = tonumber(number)
            if number % 10 == 0 then tiny.sleep(0) end
            if number ~= self.context.last + 1 then show("wrong", number) end
            self.context.last = number
            if number == 1000 then show("all") end
          end)""")
        push = self.peer(zmq.PUSH, at)
        for number in range(1, 1001):
            push.send(b"%d" % number)
        self.assertEqual(self.got(server, 1), ["all."])

    def test_closing_and_replacing_the_handler_inside_of_it(self):
        server, at = self.serve("""self.socket = assert(tiny.zmq.socket("PULL", { bind = at }))
          self.socket:on(function(text)
            show("first", text)
            self.socket:on(function(other)
              show("second", other)
              self.socket:close()
              collectgarbage()
              show(select(3, self.socket:send("x")))
            end)
          end)""")
        push = self.peer(zmq.PUSH, at)
        for text in (b"1", b"2", b"3"):
            push.send(text)
        self.assertEqual(self.got(server, 3), ["first | 1.", "second | 2.", "ECANCELED."])
        self.assertTrue(server.alive())

    def test_nobody_need_keep_the_socket(self):
        server, at = self.serve("""self.socket = assert(tiny.zmq.socket("PULL", { bind = at, name = "kept" }))
          local other = assert(tiny.zmq.socket("PULL", { bind = "tcp://127.0.0.1:*", name = "let go of" }))
          show(other:endpoint())
          other:on(function(text) collectgarbage() show(text) end)
          other = nil
          collectgarbage() collectgarbage()""")
        push = self.peer(zmq.PUSH, self.got(server, 1)[0][:-1])
        push.send(b"x")
        self.assertEqual(self.got(server, 2)[1], "x.")
        self.assertTrue(at)


class Reload(ZmqCase):
    def test_every_echo_comes_back_once_through_reloads(self):
        server, at = self.serve("""self.socket = assert(tiny.zmq.socket("ROUTER", { bind = at }))
          self.socket:on(function(id, number)
            if tonumber(number) % 100 == 0 then tiny.sleep(0.001) end
            self.socket:send(id, number, tostring(self.generation))
          end)""")
        dealer, count, seen, generations = self.peer(zmq.DEALER, at), 20000, set(), set()
        reloads = threading.Thread(target=lambda: [server.project.tiny("reload") for _ in range(10)])
        reloads.start()
        sent = 0
        for number in range(count):
            while sent < min(count, number + 500):
                dealer.send(b"%d" % sent)
                sent += 1
            back, generation = dealer.recv_multipart()
            seen.add(back)
            generations.add(generation)
        reloads.join()
        self.assertEqual(seen, {b"%d" % number for number in range(count)})
        self.assertEqual(server.info()["generation"], 11)
        self.assertGreater(len(generations), 1)

    def test_a_reload_in_the_middle_of_many_that_wait(self):
        server, at = self.serve("""self.socket = assert(tiny.zmq.socket("ROUTER", { bind = at }))
          self.socket:on(function(id, number) tiny.sleep(0.2) self.socket:send(id, number) end, 1000)""")
        dealer = self.peer(zmq.DEALER, at)
        for number in range(300):
            dealer.send(b"%d" % number)
        time.sleep(0.1)
        self.assert_reloaded(server.project)
        self.assertEqual({int(dealer.recv()) for _ in range(300)}, set(range(300)))
        wait_for(lambda: server.info()["generations_alive"] == 1, "the old generation to go")

    def test_other_options_are_taken_over_or_told(self):
        server, _at = self.serve(
            'self.socket = assert(tiny.zmq.socket("PULL", { bind = at, hwm = self.conf["test.hwm"], linger = self.generation }))',
            {"test.hwm": 10})
        self.assert_reloaded(server.project)
        self.assertEqual(server.lines("other options"), [])
        server.project.conf({"test.hwm": 20})
        self.assert_reloaded(server.project)
        self.assertIn("WARN", server.wait_line("was opened with other options: they hold until it is closed"))

    def test_no_message_is_lost(self):
        for receive in ("self.socket:on(function(text) self:take(text) end)",
                        "tiny.go(function() while true do self:take(self.socket:recv()) end end)"):
            server, at = self.serve(f"""self.socket = assert(tiny.zmq.socket("PULL", {{ bind = at }}))
              self.context.seen, self.context.sum = self.context.seen or 0, self.context.sum or 0
              {receive}""", rest="""function S:take(text)
                self.context.seen, self.context.sum = self.context.seen + 1, self.context.sum + tonumber(text)
                self:gauge("seen", self.context.seen) self:gauge("sum", self.context.sum)
              end""")
            push, count = self.peer(zmq.PUSH, at), 20000

            def send(push=push, count=count):
                for i in range(1, count + 1):
                    push.send(b"%d" % i)

            thread = threading.Thread(target=send)
            thread.start()
            for _ in range(20):
                self.assert_reloaded(server.project)
            thread.join()
            wait_for(lambda: server.info()["app"].get("seen") == count, "all messages")
            self.assertEqual(server.info()["app"]["sum"], count * (count + 1) // 2)

    def test_a_message_in_hand_is_finished_by_the_old_generation(self):
        server, at = self.serve("""self.socket = assert(tiny.zmq.socket("REP", { bind = at }))
          self.socket:on(function(text)
            if text == "slow" then tiny.sleep(0.3) end
            self.socket:send(tostring(self.generation))
          end)""")
        peer, other = self.peer(zmq.REQ, at), self.peer(zmq.REQ, at)
        peer.send(b"slow")
        time.sleep(0.1)
        self.assert_reloaded(server.project)
        other.send(b"quick")
        self.assertEqual(peer.recv(), b"1")
        self.assertEqual(other.recv(), b"2")

    def test_the_old_generation_may_send_but_not_receive(self):
        pull, to = self.peer(zmq.PULL)
        server, at = self.serve(f"""self.socket = assert(tiny.zmq.socket("PULL", {{ bind = at }}))
          self.out = assert(tiny.zmq.socket("PUSH", {{ connect = "{to}" }}))
          if self.generation > 1 then return self:info("at %s.", self.socket:endpoint()) end
          self.socket:on(function()
            tiny.sleep(0.3)
            show(select(3, self.socket:recv()))
            show(self.out:send("late"))
          end)""")
        self.peer(zmq.PUSH, at).send(b"x")
        time.sleep(0.1)
        self.assert_reloaded(server.project)
        self.assertEqual(pull.recv(), b"late")
        self.assertEqual(self.got(server, 2), ["ECANCELED.", "true."])

    def test_a_refused_reload_leaves_all_as_it_was(self):
        server, at = self.serve("""self.socket = assert(tiny.zmq.socket("REP", { bind = at }))
          self.socket:on(function() self.socket:send(tostring(self.generation)) end)""")
        script = (server.project.dir / "main.lua").read_text()
        server.project.write("main.lua", script.replace('self:info("at', 'error("no") self:info("at'))
        self.assert_refused(server.project, "no", 1)
        peer = self.peer(zmq.REQ, at)
        peer.send(b"x")
        self.assertEqual(peer.recv(), b"1")

    def test_one_that_is_not_asked_for_again_is_closed(self):
        server, at = self.serve('self.socket = assert(tiny.zmq.socket("REP", { bind = at }))')
        server.project.script("")
        self.assert_reloaded(server.project)
        self.bind_when_free(zmq.REP, at)

    def test_names_tell_sockets_apart(self):
        _server, _at = self.serve("""
          self.socket = assert(tiny.zmq.socket("PULL", { bind = at, name = "a" }))
          local b = assert(tiny.zmq.socket("PULL", { bind = at, name = "b" }))
          assert(b:endpoint() ~= self.socket:endpoint())""")

    def test_topics_are_those_of_the_new_generation(self):
        publisher, to = self.peer(zmq.XPUB)
        project = self.project(f"""function S:on_start()
          assert(tiny.zmq.socket("SUB", {{ connect = "{to}", subscribe = self.conf["test.topics"] }}))
        end""", {"test.topics": ["a", "b"]})
        self.launch(project).wait_ready()
        self.assertEqual({publisher.recv(), publisher.recv()}, {b"\x01a", b"\x01b"})
        project.conf({"test.topics": ["b", "c"]})
        self.assert_reloaded(project)
        self.assertEqual({publisher.recv(), publisher.recv()}, {b"\x01c", b"\x00a"})


class Curve(ZmqCase):
    def test_only_listed_clients_get_in(self):
        keys = {name: [key.decode() for key in zmq.curve_keypair()] for name in ("server", "friend", "stranger")}
        server, at = self.serve("""self.socket = assert(tiny.zmq.socket("PULL", { bind = at, curve = self.conf["test.curve"] }))
          self.socket:on(show)""", {"test.curve": {"secret_key": keys["server"][1], "clients": [keys["friend"][0]]}})
        for name in ("stranger", "friend"):
            push = self.peer(zmq.PUSH, at, curve_publickey=keys[name][0].encode(), curve_secretkey=keys[name][1].encode(),
                             curve_serverkey=keys["server"][0].encode())
            push.send(name.encode())
        self.peer(zmq.PUSH, at).send(b"plain")
        server.wait_line("got friend")
        time.sleep(0.3)
        self.assertEqual(self.got(server, 1), ["friend."])

    def test_a_reload_changes_who_gets_in(self):
        keys = {name: [key.decode() for key in zmq.curve_keypair()] for name in ("server", "early", "late")}
        curve = {"secret_key": keys["server"][1], "clients": [keys["early"][0]]}
        server, at = self.serve("""self.socket = assert(tiny.zmq.socket("PULL", { bind = at, curve = self.conf["test.curve"] }))
          self.socket:on(show)""", {"test.curve": curve})

        def push(name):
            peer = self.peer(zmq.PUSH, at, curve_publickey=keys[name][0].encode(), curve_secretkey=keys[name][1].encode(),
                             curve_serverkey=keys["server"][0].encode())
            peer.send(name.encode())

        push("early")
        self.assertEqual(self.got(server, 1), ["early."])
        server.project.conf({"test.curve": {**curve, "clients": "no key"}})
        self.assert_reloaded_badly(server)
        server.project.conf({"test.curve": {**curve, "clients": [keys["late"][0]]}})
        self.assert_reloaded(server.project)
        push("early")
        push("late")
        server.wait_line("got late")
        time.sleep(0.3)
        self.assertEqual(self.got(server, 2), ["early.", "late."])

    def test_a_reload_does_not_take_what_is_open_to_all_for_what_has_keys(self):
        public, secret = (key.decode() for key in zmq.curve_keypair())
        project = self.project("""function S:on_start()
          assert(tiny.zmq.socket("PULL", { bind = self.conf["test.at"], curve = self.conf["test.curve"] }))
        end""")
        at = f"ipc://{project.dir}/keys"
        project.conf({"test.at": at})
        self.launch(project).wait_ready()
        project.conf({"test.at": at, "test.curve": {"secret_key": secret, "clients": public}})
        self.assert_refused(project, "Address already in use", 1)

    def test_a_client_connects_anew_with_new_keys(self):
        public, secret = zmq.curve_keypair()
        pull, to = self.peer(zmq.PULL, curve_server=1, curve_secretkey=secret, curve_publickey=public)
        project = self.project(f"""function S:on_start()
          local push = assert(tiny.zmq.socket("PUSH", {{ connect = "{to}", curve = self.conf["test.curve"] }}))
          push:send(self.conf["test.curve"].public_key)
        end""")
        for start in (lambda: self.launch(project).wait_ready(), lambda: self.assert_reloaded(project)):
            own_public, own_secret = (key.decode() for key in zmq.curve_keypair())
            project.conf({"test.curve": {"server_key": public.decode(), "public_key": own_public, "secret_key": own_secret}})
            start()
            self.assertEqual(pull.recv().decode(), own_public)

    def assert_reloaded_badly(self, server):
        self.assertIn("Invalid argument", self.assert_refused(server.project, "curve", server.info()["generation"]))

    def test_we_make_keys_and_are_server_and_client(self):
        server = self.start(SHOW + """function S:on_start()
          local public, secret = assert(tiny.zmq.keypair())
          local mine, own = assert(tiny.zmq.keypair())
          local pull = assert(tiny.zmq.socket("PULL", { bind = "tcp://127.0.0.1:*", curve = { secret_key = secret, clients = mine } }))
          local push = assert(tiny.zmq.socket("PUSH", { connect = pull:endpoint(), curve = {
            secret_key = own, public_key = mine, server_key = public } }))
          push:send(("x"):rep(#public))
          show(pull:recv(30))
        end""")
        self.assertEqual(self.got(server, 1), ["x" * 40 + "."])

    def test_we_are_a_client(self):
        public, secret = zmq.curve_keypair()
        own_public, own_secret = (key.decode() for key in zmq.curve_keypair())
        pull, to = self.peer(zmq.PULL, curve_server=1, curve_secretkey=secret, curve_publickey=public)
        self.start(f"""function S:on_start()
          local socket = assert(tiny.zmq.socket("PUSH", {{ connect = "{to}", curve = self.conf["test.curve"] }}))
          socket:send("hello")
        end""", {"test.curve": {"server_key": public.decode(), "public_key": own_public, "secret_key": own_secret}})
        self.assertEqual(pull.recv(), b"hello")


class Natural(ZmqCase):
    def test_types_in_lower_case_and_numbers_are_fine(self):
        server = self.start("""function S:on_start()
          local push = assert(tiny.zmq.socket("push", { bind = "inproc://a" }))
          local pull = assert(tiny.zmq.socket("pull", { connect = "inproc://a" }))
          tiny.go(function()
            for _ = 1, 1000 do push:send(5, 2.5, "x") end -- some of them wait for their turn
            for _ = 1, 1000 do assert(table.concat({ pull:recv(10) }, " ") == "5 2.5 x") end
            self:info("all came")
          end)
        end""")
        server.wait_line("all came")


class Wrong(ZmqCase):
    def test_arguments_are_checked(self):
        server = self.start("""function S:on_start()
          for _, bad in ipairs { { "PULLL", { bind = "inproc://a" } }, { "PULL" }, { "PULL", {} }, { "PULL", { bind = 5 } },
              { "PULL", { bind = "inproc://a", hwn = 5 } }, { "PULL", { bind = "inproc://a", curve = {} } },
              { "PULL", { bind = "inproc://a", hwm = -1 } }, { "PULL", { bind = "inproc://a", subscribe = "" } } } do
            self:info("bad %s: %s", pcall(tiny.zmq.socket, unpack(bad)))
          end
          local socket = assert(tiny.zmq.socket("PUSH", { bind = "inproc://a" }))
          for _, bad in ipairs { false, {}, print } do self:info("bad %s: %s", pcall(socket.send, socket, bad)) end
          self:info("bad %s: %s", pcall(socket.on, socket, 5))
          self:info("bad %s: %s", pcall(socket.on, socket, print, 0))
          self:info("bad %s: %s", pcall(socket.recv, socket))
          self:info("bad %s: %s", pcall(socket.subscribe, socket, "x"))
          local pull = assert(tiny.zmq.socket("PULL", { connect = "inproc://a" }))
          self:info("bad %s: %s", pcall(pull.send, pull, "x"))
        end""")
        server.wait_line("bad false: ", times=16)

    def test_misuse_is_told_where_it_is(self):
        server = self.start("""function S:on_start()
          local push = assert(tiny.zmq.socket("PUSH", { bind = "inproc://a" }))
          for _, bad in ipairs {
            function() push:send() end,
            function() push:send("a", nil) end,
            function() push:recv() end,
          } do self:info("bad %s", select(2, pcall(bad))) end
        end""")
        server.wait_line("bad ", times=3)
        for line, at in zip(server.lines("bad "), (6, 7, 8)):
            self.assertIn(f"main.lua:{at}: zmq:", line)

    def test_what_cannot_be_opened_is_told(self):
        _taken, at = self.peer(zmq.PULL)
        project = self.project(f"""function S:on_start()
          for _, endpoint in ipairs {{ "{at}", "rubbish", "tcp://127.0.0.1:x", "tcp://203.0.113.1:5555", "ipc://taken" }} do
            self:info("nil %s: %s %s", tiny.zmq.socket("PULL", {{ bind = endpoint }}))
          end
          self:info("nil %s: %s %s", tiny.zmq.socket("PULL", {{ bind = "inproc://a", curve = {{ secret_key = "x", clients = {{}} }} }}))
        end""")
        other = self.context.socket(zmq.PULL)
        other.bind(f"ipc://{project.dir}/taken")
        server = self.launch(project, cwd=project.dir).wait_ready()
        server.wait_line("nil nil: ", times=6)
        names = [line.split()[-1] for line in server.lines("nil nil: ")]
        self.assertEqual((names[0], names[1], names[4], names[5]), ("EADDRINUSE", "EINVAL", "EADDRINUSE", "EINVAL"))
        self.assertEqual(len(server.lines("ERROR tiny.zmq.socket")), 6)

    def test_nothing_starts_while_the_script_is_loaded(self):
        for call in ('socket("PULL", { bind = "inproc://a" })', "keypair()"):
            code, text = self.project(f"tiny.zmq.{call}").said("check")
            self.assertEqual(code, 1)
            self.assertRegex(text, r"main\.lua:3: .*while the script is being loaded")


class Peers(ZmqCase):
    def connect(self, at):
        peer = socket.create_connection(("127.0.0.1", int(at.rsplit(":", 1)[1])), WAIT)
        self.addCleanup(peer.close)
        return peer

    def cut_off(self, at, size):
        """A DEALER whose connection ends after so many bytes."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            dealer = self.peer(zmq.DEALER, f"tcp://127.0.0.1:{listener.getsockname()[1]}")
            dealer.send(b"cut off")
            near, far = listener.accept()[0], self.connect(at)
        while size > 0 and (ready := select.select([near, far], [], [], 0.1)[0]):
            if far in ready:
                near.sendall(far.recv(1000))
            if near in ready:
                data = near.recv(size)
                far.sendall(data)
                size -= len(data)
        near.close()
        far.close()
        dealer.close(linger=0)

    def test_rubbish_and_peers_that_vanish_hurt_nobody(self):
        server, at = self.serve("""self.socket = assert(tiny.zmq.socket("ROUTER", { bind = at, max_size = 1000 }))
          self.socket:on(function(id, text) self.socket:send(id, text) end)""")
        for rubbish in (b"GET / HTTP/1.1\r\n\r\n", bytes(range(256)) * 100, b"\xff" * 1000, b"\xff" + bytes(8) + b"\x7f\x03"):
            self.connect(at).sendall(rubbish)
        for size in range(0, 130, 3):
            self.cut_off(at, size)
        dealer = self.peer(zmq.DEALER, at)
        dealer.send(b"x" * 1001)  # too much: disconnected
        dealer.send(b"small")
        other = self.peer(zmq.DEALER, at)
        other.send(b"still there")
        self.assertEqual(other.recv(), b"still there")
        self.assertEqual(server.lines("ERROR"), [])

    def test_one_among_many_dead_endpoints_is_heard_when_it_comes(self):
        to = free_port()
        server = self.start(SHOW + f"""function S:on_start()
          local endpoints = {{ "tcp://127.0.0.1:{to}" }}
          for port = 1, 200 do endpoints[#endpoints + 1] = "tcp://127.0.0.1:" .. port end
          assert(tiny.zmq.socket("SUB", {{ connect = endpoints, subscribe = "" }})):on(show)
        end""")
        for _ in range(2):  # it goes away and comes again
            heard = len(server.lines("got "))
            publisher = self.bind_when_free(zmq.PUB, f"tcp://127.0.0.1:{to}")

            def publish(publisher=publisher, before=heard):
                publisher.send_multipart([b"t", b"x"])
                return len(server.lines("got ")) > before

            wait_for(publish, "a message to be heard")
            publisher.close(linger=0)
        self.assertEqual(set(self.got(server, 1)), {"t | x."})

    def test_an_ipc_endpoint_in_use_stays_its_owners(self):
        project = self.project("""function S:on_start()
          self:info("bound %s", select(3, tiny.zmq.socket("PULL", { bind = self.conf["test.at"] })))
        end""")
        at = f"ipc://{project.dir}/taken"
        owner, push = self.context.socket(zmq.PULL), self.context.socket(zmq.PUSH)
        self.peers += owner, push
        owner.bind(at)
        push.connect(at)
        project.conf({"test.at": at})
        self.assertIn("EADDRINUSE", self.launch(project).wait_ready().wait_line("bound"))
        late = self.peer(zmq.PUSH, at)
        push.send(b"early")
        late.send(b"late")
        owner.rcvtimeo = WAIT * 1000
        self.assertEqual({owner.recv(), owner.recv()}, {b"early", b"late"})


class Closing(ZmqCase):
    def test_the_file_of_an_ipc_endpoint_goes_unless_it_is_of_somebody_else_by_then(self):
        project = self.project("""function S:on_start()
          for _, name in ipairs { "own", "taken" } do
            assert(tiny.zmq.socket("PULL", { bind = "ipc://" .. self.conf.folder .. "/" .. name }))
          end
        end""")
        project.conf({"folder": str(project.dir)})
        server = self.launch(project).wait_ready()
        (project.dir / "taken").unlink()
        (project.dir / "taken").touch()
        self.assertTrue((project.dir / "own").exists())
        self.assertEqual(server.close(), 0)
        self.assertFalse((project.dir / "own").exists())
        self.assertTrue((project.dir / "taken").exists())

    def test_what_is_unsent_lingers_for_a_while(self):
        pull, to = self.peer(zmq.PULL)
        server = self.start(f"""function S:on_start()
          self.socket = assert(tiny.zmq.socket("PUSH", {{ connect = "{to}" }}))
        end
        function S:on_close() for i = 1, 500 do self.socket:send("last " .. i) end end""")
        server.close()
        self.assert_closed(server)
        self.assertEqual([pull.recv() for _ in range(500)], [b"last %d" % i for i in range(1, 501)])

    def test_an_unreachable_peer_does_not_hold_it_up_for_long(self):
        server = self.start("""function S:on_start()
          self.socket = assert(tiny.zmq.socket("PUSH", { connect = "tcp://127.0.0.1:1", linger = 0.2 }))
          self.socket:send("never")
        end""")
        server.close()
        self.assert_closed(server)

    def test_lingering_ends_with_the_delay_of_closing(self):
        server = self.start("""function S:on_start()
          self.socket = assert(tiny.zmq.socket("PUSH", { connect = "tcp://127.0.0.1:1", linger = 1000 }))
          self.socket:send("never")
        end""", {"svr.close.force_close_delay": 0.5})
        self.assertEqual(server.close(), 252)


if __name__ == "__main__":
    unittest.main()

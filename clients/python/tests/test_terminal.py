"""The program for a terminal."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE
from typing import Any

from .scripted import ScriptedTestCase, Server, error, result, says

FIND = '{"find": "notes"}'


class Terminal(ScriptedTestCase):
    async def run_program(self, *arguments: str, stdout: int = PIPE, stderr: int = PIPE) -> tuple[int | None, str, str]:
        """Gives the exit status, the standard output and the standard error of the program."""
        program = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bellwether_client", *arguments, stdin=DEVNULL, stdout=stdout, stderr=stderr
        )
        out, err = await program.communicate()
        return program.returncode, (out or b"").decode(), (err or b"").decode()

    async def test_the_text_is_sent_as_it_is(self) -> None:
        texts = [
            '{"find":"a",  "filter":{"x":1e400,"y":{"$date":42},"x":2,"z":"\\ud83d","é":1.10}}',
            '{"find":"a","filter":{"n":{"$regex":"^a","$options":"i"},"l":9223372036854775808}}\n',
        ]
        s1 = Server("s1", result())
        [url] = await self.start(s1)
        for text in texts:
            with self.subTest(text[:80]):
                status, _, err = await self.run_program("--servers", f"{url}, ", "\ufeff" + text)
                self.assertEqual((status, err), (0, ""))
                self.assertIn(f'"command":{text}}}', str(s1.texts[-1]))

    async def test_what_is_no_object_is_not_sent(self) -> None:
        s1 = Server("s1", result())
        [url] = await self.start(s1)
        texts = [
            "",
            "{",
            "[]",
            "5",
            '{"a":NaN}',
            "{'a':1}",
            '{"find":"a"},"id":"x"',
            '{"a":"\udcff"}',
            '{"a":' * 100_000,
        ]
        for text in texts[:-1] + ['{"a":' * 20_000]:
            with self.subTest(text[:20]):
                status, out, err = await self.run_program("--servers", url, text)
                self.assertEqual((status, out), (2, ""))
                self.assertIn("the command is not", err)
        self.assertEqual(s1.hellos, [])

    async def test_nothing_that_a_terminal_obeys_is_printed(self) -> None:
        obeyed = "".join(map(chr, [*range(32), *range(0x7F, 0xA0), 0x200E, *range(0x202A, 0x202F), 0x2066, 0xD800]))
        reply: dict[str, Any] = {"x" + obeyed: [obeyed, "é🙂"]}
        [url] = await self.start(Server("s1", result(reply), error("mongo", hint=obeyed, server=obeyed)))
        status, out, err = await self.run_program("--servers", url, FIND)
        self.assertEqual((status, json.loads(out), err), (0, reply, ""))
        self.assertTrue(out.strip().isprintable())
        status, out, err = await self.run_program("--servers", url, FIND)
        self.assertEqual((status, out), (1, ""))
        self.assertTrue(all(line.isprintable() for line in err.split("\n")), err)
        # A line feed from a server begins no line.
        self.assertEqual(len(err.splitlines()), 2)
        for wrong in (["--x\x1b[2J\u202e", url], ["--id", "\x1b[2J", FIND], ["--servers", "\x1b[2J:1", FIND]):
            status, out, err = await self.run_program("--servers", url, *wrong)
            self.assertEqual((status, out), (2, ""))
            self.assertTrue(all(line.isprintable() for line in err.split("\n")), err)

    async def test_the_exit_status_says_what_became_of_the_command(self) -> None:
        insert = '{"insert": "notes", "documents": [{}]}'
        answers = [(error("mongo"), 1), (says("result", epoch=1), 3), (error("mongo", "unknown"), 4)]
        for answer, expected in answers:
            [url] = await self.start(Server("s1", answer))
            status, out, err = await self.run_program("--servers", url, insert)
            self.assertEqual((status, out), (expected, ""), err)

    async def test_an_output_that_nobody_reads_changes_no_outcome(self) -> None:
        [url] = await self.start(Server("s1", result(), error("mongo", "unknown")))
        reading, writing = os.pipe()
        os.close(reading)
        self.addCleanup(os.close, writing)
        status, _, err = await self.run_program("--servers", url, FIND, stdout=writing)
        self.assertEqual((status, err), (3, ""))
        insert = '{"insert": "notes", "documents": [{}]}'
        status, out, _ = await self.run_program("--servers", url, insert, stderr=writing)
        self.assertEqual((status, out), (4, ""))

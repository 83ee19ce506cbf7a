"""What operators ask of the program: --admin."""

import asyncio

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from harness import scaled


class Admin:
    def __init__(self, server):
        self.url = server.wait_log(r"metrics and health at (http\S+)").group(1)

    async def get(self, path, **options):
        async with aiohttp.ClientSession() as session:
            async with session.get(self.url + path, **options) as answer:
                return answer.status, answer.headers, await answer.text()

    async def ready(self):
        async with aiohttp.ClientSession() as session:
            async with session.get(self.url + "/readyz") as answer:
                return answer.status, await answer.json()

    async def families(self):
        status, headers, text = await self.get("/metrics")
        assert status == 200
        assert headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        return {family.name: family for family in text_string_to_metric_families(text)}

    async def value(self, name, **labels):
        for family in (await self.families()).values():
            for sample in family.samples:
                if sample.name == name and labels.items() <= sample.labels.items():
                    return sample.value
        raise AssertionError(f"no {name} {labels}")

    async def until(self, expected, name, **labels):
        async with asyncio.timeout(scaled(10)):
            while await self.value(name, **labels) != expected:
                await asyncio.sleep(0.01)

"""An agent that plans a walk: its steps, its list of tasks, its progress. No model, no key.

Whatever an agent does on the way to its answer can be a step: a call of a function that is decorated
with @cl.step, or a block of `async with cl.Step(…)`. Steps inside of steps are nested.
"""

import asyncio

import clrun as cl

# What the "weather service" and the "model" know: the same for all, so that the example is one.
WEATHER = {"Ardnave": ("rain", 9), "Bridgend": ("sun", 16), "Calgary Bay": ("wind", 12)}
PLAN = "1. Ask for the weather of each place.\n2. Weigh rain, wind and temperature.\n3. Name the best place."


@cl.set_starters
async def starters(user):
    return [
        cl.Starter(label="Three places", message="Ardnave, Bridgend, Calgary Bay", icon="map"),
        cl.Starter(label="One that is unknown", message="Bridgend, Atlantis", icon="ghost"),
    ]


@cl.step(type="llm", name="plan", show_input=False)
async def make_plan():
    """A step can stream, as a message can; here a model would think aloud."""
    step = cl.context.current_step
    for word in PLAN.split(" "):
        await step.stream_token(word + " ")
        await cl.sleep(0.02)
    return PLAN


@cl.step(type="tool", show_input="json", icon="cloud-sun")
async def weather(place):
    """The arguments become the step's input, the result its output."""
    await cl.sleep(0.2 + len(place) / 50)
    if place not in WEATHER:
        raise LookupError(f"no weather station in {place}")  # the step is shown as failed
    sky, degrees = WEATHER[place]
    return {"place": place, "sky": sky, "degrees": degrees}


async def weather_of_all(places):
    """Parallel steps: gather() runs them side by side, and one that fails stops no other."""
    async with cl.Step(name="ask for the weather", type="run") as step:
        found = await asyncio.gather(*map(weather, places), return_exceptions=True)
        reports = [report for report in found if isinstance(report, dict)]
        step.output = f"{len(reports)} of {len(places)} places have a report."
    return reports


async def weigh(reports):
    """Input and output in languages of their own are shown as code."""
    async with cl.Step(name="weigh", type="tool", language="python", show_input="sql") as step:
        step.input = "SELECT place, degrees FROM reports\nWHERE sky <> 'rain'\nORDER BY degrees DESC;"
        await cl.sleep(0.3)
        dry = [report for report in reports if report["sky"] != "rain"]
        best = max(dry, key=lambda report: report["degrees"], default=None)
        step.output = f"best = {best!r}"
    return best


async def pack(message):
    """Progress: a message that is changed in place."""
    things = ["map", "bread and cheese", "raincoat", "whistle"]
    for done, thing in enumerate(things, start=1):
        bar = "■" * done + "□" * (len(things) - done)
        message.content = f"Packing {bar} {thing}"
        await message.update()
        await cl.sleep(0.15)
    message.content = "Packed: " + ", ".join(things) + "."
    return await message.update()


class Tasks:
    """The panel of tasks: one runs at a time, and leads to the step or message that it is about."""

    def __init__(self, *titles):
        self.list = cl.TaskList(status="Running", tasks=[cl.Task(title=title) for title in titles])

    async def do(self, index, work):
        task = self.list.tasks[index]
        task.status = cl.TaskStatus.RUNNING
        await self.list.send()
        try:
            result = await work
            task.status = cl.TaskStatus.DONE if result is not None else cl.TaskStatus.FAILED
            return result
        except BaseException:  # also when the user presses stop
            task.status = cl.TaskStatus.FAILED
            raise
        finally:
            await self.list.send()

    async def end(self, status):
        self.list.status = status
        await self.list.send()


@cl.on_message
async def on_message(message):
    places = [name.strip().title() for name in message.content.split(",") if name.strip()]
    tasks = Tasks("Make a plan", "Ask for the weather", "Choose a place", "Pack")
    await tasks.do(0, make_plan())
    reports = await tasks.do(1, weather_of_all(places[:10]))
    best = await tasks.do(2, weigh(reports))
    if best is None:
        await tasks.end("Stay at home")
        await cl.Message(f"Nowhere to walk today. I know {', '.join(WEATHER)}.").send()
        return
    progress = await cl.Message("Packing").send()
    tasks.list.tasks[3].forId = progress.id
    await tasks.do(3, pack(progress))
    await tasks.end("Done")
    answer = f"Walk at **{best['place']}**: {best['sky']}, {best['degrees']} °C."
    await cl.Message(answer).send()

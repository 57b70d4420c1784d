"""An agent of the official MCP SDK finds a product, reads its contract, asks for rows, and makes mistakes: agent.py '{"http": "…"}'."""

import asyncio
import json
import sys

from mcp import Client

a = json.loads(sys.argv[1])


def same(what, found, wanted):
    if found != wanted:
        raise SystemExit(f"{what}\n  found  {str(found)[:1500]}\n  wanted {str(wanted)[:1500]}")
    print(f"ok  {what}")


async def refused(client, tool, arguments, *words):
    result = await client.call_tool(tool, arguments)
    text = result.content[0].text
    if not result.is_error or not all(word in text for word in (*words, "because", "code")):
        raise SystemExit(f"{tool} {str(arguments)[:200]}: {text[:500]}")
    print(f"ok  {tool} refused: {words[0]}")


async def ask(client, tool, arguments):
    result = await client.call_tool(tool, arguments)
    text = result.content[0].text
    if result.is_error:
        raise SystemExit(f"{tool} {arguments}: {text}")
    return text


async def work(client):
    tools = {tool.name for tool in (await client.list_tools()).tools}
    same("tools", tools, {"search_catalogue", "describe_product", "read_contract", "query"})

    found = json.loads(await ask(client, "search_catalogue", {"query": "how late airline"}))
    same("the search finds the product", [one["id"] for one in found["products"]], ["insights.delays"])
    port = next(one for one in found["products"][0]["ports"] if one["kind"] == "upsert")
    product = json.loads(await ask(client, "describe_product", {"product": found["products"][0]["id"]}))
    same("it is described", product["owner"], "data-insights")
    contract = await ask(client, "read_contract", {"port": port["id"]})
    same("the contract is the team's file", contract, open(a["contract"], encoding="utf-8").read())
    answer = json.loads(await ask(client, "query", {"sql": f"SELECT count(*) AS hours, sum(flights) AS flights FROM {port['sql']}"}))
    same("all flights of January", answer["rows"][0]["flights"], 27004)
    exact = await ask(client, "query", {"sql": f"SELECT 9007199254740993 AS n FROM {port['sql']} LIMIT 1"})
    same("integers are exact", '"n":9007199254740993' in exact, True)

    await refused(client, "query", {"sql": "DROP TABLE x"}, "only queries are answered")
    await refused(client, "query", {"sql": "SELECT * FROM \"insights\".\"delays\".\"nothing\""}, "nothing")
    await refused(client, "query", {"sql": "SELECT * FROM \"flight-ops\".\"flights\".\"flights\""}, "http.sql.rows_max")
    await refused(client, "query", {"sql": "SELECT " + "1+" * 50_000 + "1"}, "because")
    await refused(client, "query", {"sqll": "SELECT 1"}, "did you mean \"sql\"?")
    await refused(client, "describe_product", {"product": "insights.delay"}, "did you mean \"insights.delays\"?")
    try:
        await client.call_tool("drop_everything", {})
    except Exception as error:
        same("an unknown tool is told", "no tool \"drop_everything\"" in str(error), True)
    else:
        raise SystemExit("an unknown tool was called")


async def main():
    # Today's lifecycle, and the handshake of the versions before it.
    for mode in ("auto", "legacy"):
        async with Client(f"http://{a['http']}/mcp", mode=mode) as client:
            print(f"ok  {mode}: {client.protocol_version}")
            await work(client)


asyncio.run(main())

from __future__ import annotations

from decimal import Decimal

import pytest

from gateway.accounting.exports import Billed, ExportError, read_export

OPENAI_USAGE = (
    "start_time,end_time,start_time_iso,end_time_iso,project_id,num_model_requests,user_id,api_key_id,model,batch,"
    "service_tier,input_tokens,output_tokens,input_cached_tokens,input_uncached_tokens\n"
)
OPENAI_COSTS = "start_time,end_time,start_time_iso,end_time_iso,amount_value,amount_currency,line_item,project_id\n"
ANTHROPIC_USAGE = (
    "usage_date_utc,model_version,api_key,workspace,usage_type,context_window,usage_input_tokens_no_cache,"
    "usage_input_tokens_cache_write_5m,usage_input_tokens_cache_write_1h,usage_input_tokens_cache_read,"
    "usage_output_tokens,web_search_count\n"
)
ANTHROPIC_COST = (
    "usage_date_utc,model,workspace,api_key,usage_type,context_window,token_type,cost_usd,list_price_usd,cost_type\n"
)


def read(text: str) -> list[Billed]:
    return list(read_export(text.splitlines(keepends=True)))


def test_openai_usage() -> None:
    lines = read(
        f"{OPENAI_USAGE}"
        "1800000000,1800086400,2027-01-15T00:00:00+00:00,x,p,8.0,u,k,gpt-5-2025-08-07,FALSE,default,46264.0,60000.0,"
        "8192.0,38072.0\n"
        "1800086400,1800172800,2027-01-16T00:00:00+00:00,x,,,,,,,,,,,\n"
    )

    assert lines == [
        Billed(
            day="2027-01-15", model="gpt-5-2025-08-07", requests=8, prompt_tokens=46264, cached_tokens=8192,
            output_tokens=60000,
        )
    ]  # fmt: skip


def test_openai_usage_without_iso_days() -> None:
    (line,) = read("start_time,model,num_model_requests,input_tokens,output_tokens\n1800000000,m,1,2,3\n")

    assert (line.day, line.cached_tokens) == ("2027-01-15", None)


@pytest.mark.parametrize(
    ("item", "model"),
    [
        ('"gpt-4o-mini-2024-07-18, cached input"', "gpt-4o-mini-2024-07-18"),
        ('"priority | gpt-5, output, long context"', "gpt-5"),
        ("web search tool calls", ""),
        ("", ""),
    ],
)
def test_openai_costs(item: str, model: str) -> None:
    (line,) = read(f"{OPENAI_COSTS}1,2,2027-01-15T00:00:00,x,0.56177125,usd,{item},p\n1,2,2027-01-16T00:00:00,x,,,,\n")

    assert line == Billed(day="2027-01-15", model=model, cost_usd=Decimal("0.56177125"))


def test_anthropic_usage() -> None:
    (line,) = read(f"{ANTHROPIC_USAGE}2027-01-15 05:00,claude-opus-5,k,Default,standard,≤ 200k,100,20,3,400,50,0\n")

    assert line == Billed(
        day="2027-01-15", model="claude-opus-5", prompt_tokens=523, cached_tokens=400, output_tokens=50
    )


def test_anthropic_cost() -> None:
    lines = read(
        f"{ANTHROPIC_COST}2027-01-15,Claude Haiku 4.5,Default,k,message,≤ 200k,input_no_cache,0.05,0.05,token\n"
        "2027-01-15,,Default,k,web_search,,,0.01,0.01,web_search\n"
    )

    assert [(line.model, line.cost_usd) for line in lines] == [
        ("Claude Haiku 4.5", Decimal("0.05")),
        ("", Decimal("0.01")),
    ]


def test_the_plain_form() -> None:
    lines = read(
        "\ufeffDate;Model;input_tokens;cached_tokens;output_tokens;requests;cost_usd\n"
        "2027-01-15;m;10;2;3;1;0.5\n\n2027-01-16;m;10;2;3;1;\n"
    )

    assert lines[0] == Billed(
        day="2027-01-15", model="m", requests=1, prompt_tokens=10, cached_tokens=2, output_tokens=3,
        cost_usd=Decimal("0.5"),
    )  # fmt: skip
    assert lines[1].cost_usd is None


def test_costs_alone_are_enough() -> None:
    assert read("date\tmodel\tcost_usd\n2027-01-15\tm\t-1.5\n") == [
        Billed(day="2027-01-15", model="m", cost_usd=Decimal("-1.5"))
    ]


@pytest.mark.parametrize("text", ["", "\n", "a,b,c\n1,2,3\n", "date,tokens\n", '"'])
def test_another_file_is_told_what_is_expected(text: str) -> None:
    with pytest.raises(ExportError, match=r"Anthropic, usage: usage_date_utc, model_version") as refused:
        read(text)

    assert "plain, costs: date, model, cost_usd" in str(refused.value)


def test_the_columns_that_were_found_are_named() -> None:
    with pytest.raises(ExportError, match="Its columns are: colour, weight"):
        read("colour,weight\n1,2\n")


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("yesterday,m,1,1", "line 2: 'date' must be a day"),
        ("2027-01-15,m,many,1", "line 2: 'input_tokens' must be a number"),
        ("2027-01-15,m,-1,1", "line 2: 'input_tokens' must be a number from 0"),
        ("2027-01-15,m,NaN,1", "line 2: 'input_tokens' must be a number"),
        ("2027-01-15,m,1e400,1", "line 2: 'input_tokens' must be a number"),
    ],
)
def test_a_wrong_cell_is_named(row: str, problem: str) -> None:
    with pytest.raises(ExportError, match=problem):
        read(f"date,model,input_tokens,output_tokens\n{row}\n")


def test_another_currency_is_refused() -> None:
    with pytest.raises(ExportError, match="'amount_currency' must be usd"):
        read(f"{OPENAI_COSTS}1,2,2027-01-15T00:00:00,x,0.5,eur,,p\n")


def test_a_cell_that_never_ends_is_refused() -> None:
    with pytest.raises(ExportError, match="not CSV"):
        read(f'date,model,cost_usd\n2027-01-15,"{"m" * 200_000}",1\n')

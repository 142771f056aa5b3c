"""What was measured, against what is wanted, as JSON for machines and Markdown for people."""

import datetime
import json
import os
import re

from measure import spread


def wanted(at_least=None, below=None, at_most=None):
    return {"at_least": at_least, "below": below, "at_most": at_most}


def ratio(ours, other, title, target=None, cost=False):
    """How many times faster we are than another; with cost, how many times slower. The ratio is that of the
    medians; its spread comes from the rounds in which both ran."""
    pairs = [(a / b if cost else b / a) for a, b in zip(ours, other)]
    value = spread(ours)["median"] / spread(other)["median"]
    value = value if cost else 1 / value
    return {"against": title, "ratio": value, "rounds": spread(pairs), "target": target, "met": met(value, target)}


def met(value, target):
    if target is None:
        return None
    if target["at_least"] is not None:
        return value >= target["at_least"]
    return value <= target["at_most"] if target["at_most"] is not None else value < target["below"]


def limit(title, value, unit, target):
    """Something that is measured beside times."""
    return {"title": title, "value": value, "unit": unit, "target": target, "met": met(value, target)}


def memory(kib, most_mib, title="peak RSS of the service"):
    return limit(title, kib / 1024, "MiB", wanted(at_most=most_mib))


# ---- Markdown


def number(value, digits=3):
    """So many digits that count, but never an exponent."""
    whole = len(str(int(value))) if value >= 1 else 0
    return f"{value:.{max(digits - whole, 0)}f}"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "| " + " | ".join("---" for _ in head) + " |"]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines)


def verdict(answer):
    return {None: "", True: "yes", False: "**no**"}[answer]


def target_text(target):
    if target is None:
        return ""
    signs = {"at_least": "≥", "below": "<", "at_most": "≤"}
    return ", ".join(f"{signs[name]} {value:g}" for name, value in target.items() if value is not None)


def times_table(work):
    rows = []
    for each in work["opponents"]:
        times = each["times"]
        rows.append([each["title"], number(times["median"]), f"{number(times['min'])} – {number(times['max'])}",
                     f"{number(times['lower_quartile'])} – {number(times['upper_quartile'])}", str(times["count"]),
                     f"{each['rows'] / times['median']:,.0f}" if each.get("rows") else "",
                     f"{each['bytes'] / 1e6:.0f}" if each.get("bytes") else "",
                     number(each["peak_rss_mib"]) if each.get("peak_rss_mib") else ""])
    unit = work["unit"]
    head = ["", f"median, {unit}", "lowest – highest", "quartiles", "rounds", "rows/s", "MB", "peak RSS, MiB"]
    return without_empty(head, rows)


def without_empty(head, rows):
    """A table without the columns in which nothing stands."""
    full = [column for column in range(len(head)) if column == 0 or any(row[column] for row in rows)]
    return table([head[column] for column in full], [[row[column] for column in full] for row in rows])


def ratio_table(work):
    rows = []
    for each in work["ratios"]:
        rounds = each["rounds"]
        rows.append([each["against"], number(each["ratio"]), f"{number(rounds['min'])} – {number(rounds['max'])}",
                     target_text(each["target"]), verdict(each["met"])])
    for each in work["limits"]:
        rows.append([each["title"], f"{number(each['value'])} {each['unit']}", "",
                     target_text(each["target"]) and f"{target_text(each['target'])} {each['unit']}",
                     verdict(each["met"])])
    return table([work["ratio_title"], "ratio", "in single rounds", "wanted", "met"], rows)


def pairs(values):
    return ", ".join(f"{key} {value}" for key, value in values.items() if value is not None)


def surroundings(machine):
    return (f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB, {machine['system']}, Linux "
            f"{machine['kernel']}; load {machine['load_at_start']} at the start. What is measured, and how, is in the README "
            "one folder up.")


def markdown(result):
    parts = [
        f"# `scripts/bench {result['bench']}`, {result['date']}",
        f"{result['rows']:,} rows, rounds: {result['rounds']}, of {result['peers']} {result['slow_rounds']}. "
        f"{surroundings(result['machine'])}",
    ]
    for work in result["works"]:
        parts += [f"## {work['title']}", times_table(work), ratio_table(work)]
        parts += [f"- {remark}" for remark in work["remarks"]]
    parts += ["## Versions and settings", f"- {pairs(result['versions'])}; built with {result['cflags']}"]
    for name, server in result["servers"].items():
        parts.append(f"- {server['version']}, set on its command line: {pairs(server['settings'])}")
        parts += [f"- {name}, plan of the read in order: `{server['plan']}`"] if server.get("plan") else []
    return re.sub(r"(?m)^(- .*)\n\n(?=- )", r"\1\n", "\n\n".join(parts)) + "\n"


# ---- files


def today():
    return datetime.datetime.now(datetime.timezone.utc).date().isoformat()


def keep(result, folder, readme, text=None):
    """Writes both files, and says in the README which are the newest if that is where they belong."""
    os.makedirs(folder, exist_ok=True)
    name = f"{result['date']}-{result['bench']}"
    with open(os.path.join(folder, name + ".json"), "w", encoding="utf-8") as out:
        json.dump(result, out, indent=1, ensure_ascii=False)
        out.write("\n")
    with open(os.path.join(folder, name + ".md"), "w", encoding="utf-8") as out:
        out.write(text or markdown(result))
    if readme:
        name_newest(readme, result["bench"], name)


def name_newest(readme, bench, name):
    with open(readme, encoding="utf-8") as text:
        old = text.read()
    new = re.sub(rf"(?m)^(Newest results of `{bench}`: ).*$", rf"\g<1>[{name}](results/{name}.md)", old)
    if new != old:
        with open(readme, "w", encoding="utf-8") as text:
            text.write(new)

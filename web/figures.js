/* Makes elements of a status. What the service says is never taken for HTML: all of it goes through make(), which
 * knows texts and attributes only. A status that lacks something throws, before any of it is shown. */

const LAG = 300;    /* seconds that a source may lag, besides what its late_commits say */
const RECENT = 300; /* seconds for which an error is one */
const IDLE = 3600;  /* seconds after which an open full sync seems to be forgotten */

/* elements */

function fill(element, attributes, children) {
    for (const [name, value] of Object.entries(attributes))
        if (value !== null)
            element.setAttribute(name, value);
    for (const child of children.filter(child => child !== null)) {
        if (typeof child !== 'string' && !(child instanceof Node))
            throw new TypeError('a text is missing');
        element.append(child);
    }
    return element;
}

function make(tag, attributes, ...children) {
    return fill(document.createElement(tag), attributes, children);
}

function draw(tag, attributes, ...children) {
    return fill(document.createElementNS('http://www.w3.org/2000/svg', tag), attributes, children);
}

/* Makes old equal to fresh by touching only what differs, so that focus, selection and what was opened stay. */
function patch(old, fresh) {
    if (old.nodeName !== fresh.nodeName)
        return old.replaceWith(fresh);
    if (old.nodeType === Node.TEXT_NODE) {
        if (old.data !== fresh.data)
            old.data = fresh.data;
        return;
    }
    for (const {name} of [...old.attributes])
        if (!fresh.hasAttribute(name) && name !== 'open')
            old.removeAttribute(name);
    for (const {name, value} of fresh.attributes)
        if (old.getAttribute(name) !== value)
            old.setAttribute(name, value);
    const children = [...fresh.childNodes];
    children.forEach((child, i) => old.childNodes[i] ? patch(old.childNodes[i], child) : old.append(child));
    while (old.childNodes.length > children.length)
        old.lastChild.remove();
}

/* words */

function count(number) {
    if (typeof number !== 'number')
        throw new TypeError('a number is missing');
    return number.toLocaleString('en', {maximumFractionDigits: 1});
}

function plural(number, noun, many = `${noun}s`) {
    return `${count(number)} ${number === 1 ? noun : many}`;
}

function bytes(number) {
    const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
    let unit = 0;
    for (; number >= 1024 && unit < units.length - 1; unit++)
        number /= 1024;
    return `${count(number)} ${units[unit]}`;
}

function duration(seconds) {
    const units = [['d', 86400], ['h', 3600], ['min', 60]];
    for (const [unit, length] of units)
        if (seconds >= 2 * length || (unit !== 'd' && seconds >= length))
            return `${Math.floor(seconds / length)} ${unit}`;
    return `${count(seconds < 10 ? Math.round(seconds * 10) / 10 : Math.floor(seconds))} s`;
}

function seconds(from, to) {
    const passed = (Date.parse(to) - Date.parse(from)) / 1000;
    if (Number.isNaN(passed))
        throw new TypeError('a time is missing');
    return Math.max(passed, 0);
}

function ago(time, now) {
    return time === null ? 'never' : `${duration(Math.floor(seconds(time, now)))} ago`;
}

function clock(time) {
    return new Date(time).toISOString().slice(0, 19).replace('T', ' ');
}

function when(time, now) {
    return time === null ? make('span', {class: 'mute'}, 'never')
        : make('time', {datetime: time, title: `${clock(time)} UTC`}, ago(time, now));
}

/* The newest of some times, of which any may be null. */
function newest(times) {
    const known = times.filter(time => time !== null);
    return known.length ? known.reduce((best, time) => Date.parse(time) > Date.parse(best) ? time : best) : null;
}

/* figures */

/* columns are [title, class, content of a row]; the first is the row's name. */
function table(caption, columns, rows) {
    const head = columns.map(([title, kind]) => make('th', {scope: 'col', role: 'columnheader', class: kind}, title));
    const cell = row => ([title, kind, content], i) => i === 0
        ? make('th', {scope: 'row', role: 'rowheader', class: kind}, ...[content(row)].flat())
        : make('td', {role: 'cell', class: kind, 'data-label': title}, make('div', {}, ...[content(row)].flat()));
    const body = rows.map(row => make('tr', {role: 'row'}, ...columns.map(cell(row))));
    return make('table', {role: 'table'}, make('caption', {}, caption),
        make('thead', {role: 'rowgroup'}, make('tr', {role: 'row'}, ...head)), make('tbody', {role: 'rowgroup'}, ...body));
}

/* A section of the page; without rows, empty stands there instead. */
function section(id, title, empty, caption, columns, rows) {
    const attributes = {id, class: rows.length ? null : 'none', 'aria-labelledby': `${id}-title`};
    return make('section', attributes, make('h2', {id: `${id}-title`}, title),
        rows.length ? table(caption, columns, rows) : make('p', {class: 'mute'}, empty));
}

/* A bar a minute, the last one for the minute that is not over; whatever is not 0 is seen. */
function plot({per_minute, this_minute}) {
    const minutes = [...per_minute, this_minute];
    const most = Math.max(...minutes);
    const label = most === 0 ? 'no rows in the last hour'
        : `rows a minute in the last hour: ${count(this_minute)} in this one, ${count(most)} at most`;
    const bars = minutes.map((rows, i) => rows > 0 ? `M${i} 28v${-Math.max(26 * rows / most, 2)}h.8V28z` : '').join('');
    return [
        draw('svg', {role: 'img', 'aria-label': label, viewBox: `0 0 ${minutes.length} 28`, preserveAspectRatio: 'none'},
            draw('path', {d: bars})),
        make('span', {class: 'small', 'aria-hidden': 'true'}, most === 0 ? 'none' : `at most ${count(most)}`),
    ];
}

function named(text, below) {
    return [make('b', {}, text), make('span', {class: 'small'}, below)];
}

function moment(time, now) {
    return [make('time', {datetime: time}, clock(time)), make('span', {class: 'small'}, ago(time, now))];
}

function amount(counted) {
    return [count(counted.entities), make('span', {class: 'small'}, bytes(counted.bytes))];
}

function failures(number) {
    return number > 0 ? make('span', {class: 'warn'}, count(number)) : count(number);
}

function value(any) {
    return typeof any === 'string' ? any : any === null || any === undefined ? '–' : JSON.stringify(any);
}

function systems(status) {
    const caption = 'Databases, and the pool of connections to each';
    return section('systems', 'Systems', 'The configuration names no systems.', caption, [
        ['System', '', system => named(system.name, system.type)],
        ['Where', 'text', system => system.where],
        ['State', 'text', system => system.error === null ? make('span', {class: 'good'}, 'answers')
            : [make('span', {class: 'bad'}, 'does not answer: '), system.error.text, ' ', when(system.error.at, status.now)]],
        ['In use', 'number', system => `${count(system.pool.used)} of ${count(system.pool.size)}`],
        ['Open', 'number', system => count(system.pool.open)],
        ['Waiting', 'number', system => failures(system.pool.waiting)],
    ], status.systems);
}

/* Behind more than its late_commits let it be. The lag is null while nothing is final. */
function isLate(source, status) {
    if (source.horizon === null)
        return false;
    const {settle, margin} = status.configuration.sources[source.name].late_commits ?? {};
    return source.horizon.lag === null || source.horizon.lag > LAG + (settle ?? margin ?? 0);
}

function lag(source, status) {
    if (source.horizon === null)
        return make('span', {class: 'mute'}, '–');
    const {lag, holder} = source.horizon;
    return [make('span', {class: isLate(source, status) ? 'warn' : null}, lag === null ? 'nothing is final' : duration(lag)),
        holder && (lag === null || lag >= 1) ? make('span', {class: 'small'}, `held by ${holder}`) : null];
}

function followed({tracking}) {
    return tracking === null ? 'in full' : tracking === 'changelog' ? 'by its change log' : `by ${tracking}`;
}

function sources(status) {
    return section('sources', 'Sources', 'The configuration names no sources.', 'What was read from the databases', [
        ['Source', '', source => named(source.name, `${source.reads} in ${source.system}, ${followed(source)}`)],
        ['Last poll', 'short', source => when(source.last, status.now)],
        ['Lag', 'lag', source => lag(source, status)],
        ['Polls', 'number', source => count(source.pulls)],
        ['Failed', 'number', source => failures(source.failures)],
        ['Rows', 'number short', source => amount(source)],
        ['Rows a minute', 'plot', source => plot(source)],
    ], status.sources);
}

function sinks(status) {
    return section('sinks', 'Sinks', 'The configuration names no sinks.', 'What was written to the databases', [
        ['Sink', '', sink => named(sink.name, `${sink.table} in ${sink.system}`)],
        ['Last push', 'short', sink => when(sink.last, status.now)],
        ['Pushes', 'number', sink => count(sink.pushes)],
        ['Failed', 'number', sink => failures(sink.failures)],
        ['Rows', 'number short', sink => amount(sink)],
        ['Inserted', 'number', sink => count(sink.inserted)],
        ['Updated', 'number', sink => count(sink.updated)],
        ['Unchanged', 'number', sink => count(sink.unchanged)],
        ['Deleted', 'number', sink => count(sink.deleted)],
        ['Conflicts', 'number', sink => failures(sink.conflicts)],
        ['Rows a minute', 'plot', sink => plot(sink)],
    ], status.sinks);
}

function syncs(status) {
    return section('syncs', 'Open full syncs', 'None.', 'Full syncs whose last request has not come', [
        ['Sink', '', sink => make('b', {}, sink.name)],
        ['Sequence', 'text', sink => value(sink.full_sync.sequence_id)],
        ['Requests', 'number', sink => count(sink.full_sync.requests)],
        ['Begun', 'short', sink => when(sink.full_sync.begun, status.now)],
        ['Last request', 'short', sink => when(sink.full_sync.last, status.now)],
    ], status.sinks.filter(sink => sink.full_sync !== null));
}

function byTime(rows) {
    return rows.sort((a, b) => Date.parse(b.at) - Date.parse(a.at));
}

function conflicts(status) {
    const all = status.sinks.flatMap(sink => sink.last_conflicts.map(conflict => ({...conflict, sink: sink.name})));
    return section('conflicts', 'Last conflicts', 'None.', 'Entities that met another version of their row', [
        ['Time', 'short', conflict => moment(conflict.at, status.now)],
        ['Sink', 'text', conflict => conflict.sink],
        ['_id', 'text', conflict => value(conflict._id)],
        ['Reason', 'text', conflict => conflict.reason],
        ['Expected', 'text', conflict => value(conflict.expected)],
        ['Actual', 'text', conflict => value(conflict.actual)],
    ], byTime(all));
}

function errors(status) {
    return section('errors', 'Last errors', 'None.', 'Warnings and errors, the newest first', [
        ['Time', 'short', error => moment(error.at, status.now)],
        ['Level', '', error => make('span', {class: error.level === 'error' ? 'bad' : 'warn'}, error.level)],
        ['Subject', 'text', error => error.subject],
        ['Text', 'text', error => error.text],
    ], byTime([...status.errors]));
}

function configuration(status) {
    return make('section', {id: 'configuration'}, make('details', {},
        make('summary', {}, make('h2', {}, 'Configuration')),
        make('p', {class: 'mute'}, 'As it was read; secrets are masked.'),
        make('pre', {}, JSON.stringify(status.configuration, null, 2))));
}

function facts(status) {
    const fact = (label, ...content) => make('li', {}, `${label} `, make('b', {}, ...content));
    return make('ul', {class: 'facts'},
        fact('Started', when(status.started, status.now)),
        fact('At work', `${count(status.requests.at_work)} of ${plural(status.requests.max, 'request')}`),
        fact('Bodies hold', `${bytes(status.buffered_bytes.used)} of ${bytes(status.buffered_bytes.max)}`));
}

function contents(parts) {
    const link = part => make('li', {}, make('a', {href: `#${part.id}`}, part.querySelector('h2').textContent),
        part.querySelector('tbody') ? ` ${part.querySelector('tbody').childElementCount}` : '');
    return make('nav', {'aria-label': 'Sections'}, make('ul', {}, ...parts.map(link)));
}

/* the headline */

/* What is wrong, the worst first. A trouble's place is the section that tells more. */
function troubles(status) {
    const bad = [], warn = [];
    const late = status.sources.filter(source => isLate(source, status));
    const recent = status.errors.filter(error => seconds(error.at, status.now) < RECENT);
    const errors = recent.filter(error => error.level === 'error').length;
    if (status.draining)
        bad.push(['the service is shutting down', 'figures']);
    for (const system of status.systems)
        if (system.error !== null)
            bad.push([`${system.name} does not answer`, 'systems']);
        else if (system.pool.waiting > 0)
            warn.push([`${plural(system.pool.waiting, 'request')} must wait for a connection to ${system.name}`, 'systems']);
    if (status.requests.at_work >= status.requests.max)
        warn.push(['as many requests as may be are at work', 'figures']);
    if (status.buffered_bytes.waiting > 0)
        warn.push([`${plural(status.buffered_bytes.waiting, 'body', 'bodies')} must wait for memory`, 'figures']);
    if (late.length > 1)
        warn.push([`${plural(late.length, 'source')} lag behind`, 'sources']);
    else if (late.length > 0)
        warn.push([late[0].horizon.lag === null ? `nothing of ${late[0].name} is final yet`
            : `${late[0].name} lags ${duration(late[0].horizon.lag)} behind`, 'sources']);
    for (const sink of status.sinks)
        if (sink.full_sync !== null && seconds(sink.full_sync.last ?? sink.full_sync.begun, status.now) > IDLE)
            warn.push([`a full sync of ${sink.name} is open, and nothing comes`, 'syncs']);
    if (recent.length > 0)
        warn.push([`${errors ? plural(errors, 'error') : plural(recent.length, 'warning')} in the last ${
            duration(RECENT)}`, 'errors']);
    return {mood: bad.length ? 'bad' : warn.length ? 'warn' : 'good', all: [...bad, ...warn]};
}

/* Of things of a kind: how many, and when the last of them did something. */
function activity(things, noun, act, now) {
    const last = newest(things.map(thing => thing.last));
    const when = last === null ? `no ${act} yet` : `last ${act} ${ago(last, now)}`;
    return plural(things.length, noun) + (things.length ? `, ${when}` : '');
}

function summary({systems, sources, sinks, now}) {
    const gone = systems.filter(system => system.error !== null).length;
    const answer = gone ? `, ${count(gone)} away` : systems.length === 1 ? ' answers' : ', all answer';
    return [plural(systems.length, 'system') + (systems.length ? answer : ''),
        activity(sources, 'source', 'poll', now), activity(sinks, 'sink', 'push', now)].join('; ');
}

function headline(status) {
    const {mood, all} = troubles(status);
    if (all.length === 0)
        return {mood, text: summary(status), said: 'All is well'};
    const texts = all.map(([text]) => text);
    return {mood, text: texts[0] + (all.length > 1 ? `, and ${count(all.length - 1)} more` : ''), said: texts.join(', ')};
}

/* The whole of the page below the headline. */
function figures(status) {
    const parts = [systems(status), sources(status), sinks(status), syncs(status), conflicts(status), errors(status),
        configuration(status)];
    const {all} = troubles(status);
    const wrong = all.map(([text, place]) => make('li', {}, make('a', {href: `#${place}`}, text)));
    return make('main', {id: 'figures', 'aria-label': 'Figures'},
        all.length > 1 ? make('ul', {class: 'troubles'}, ...wrong) : null,
        all.length > 0 ? make('p', {}, summary(status)) : null, facts(status), contents(parts), ...parts);
}

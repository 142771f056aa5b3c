/* Reads the status every few seconds, shows it, and says so when it is old. */

const EVERY = 3000;     /* ms from an answer to the next question */
const PATIENCE = 30000; /* ms for an answer: the browser may be asking somebody for a password meanwhile */
const OLD = 8000;       /* ms after which figures are called old, whatever the reason */


const url = new URL('status', location.href); /* relative: a proxy may have put us below a path */
url.username = url.password = '';             /* fetch refuses what an address bar takes */

let reading = null; /* {headline, now, at}: the last answer; at is our own clock's, in ms */
let trouble = null; /* {text, hint, halts}: why there is no newer one */
let paused = false;
let asking = false;
let timer = 0;

function obstacle(text, hint = `Trying again every ${EVERY / 1000} s.`, halts = false) {
    return {text, hint, halts};
}

function refusal(answer, body) {
    if (answer.status === 401) /* a browser would ask for a password at each try */
        return obstacle('The service does not know who asks (401)', 'Reload the page to sign in.', true);
    if (answer.type === 'opaqueredirect')
        return obstacle('Something before the service sends us elsewhere', 'Perhaps to sign in: reload the page.', true);
    let detail = '';
    try {
        detail = `: ${JSON.parse(body).detail ?? ''}`;
    } catch {
        /* not the service's own words */
    }
    return obstacle(`The answer is ${answer.status}${detail.slice(0, 500)}`);
}

/* Shows an answer, all of it or nothing. */
function accept(status) {
    const fresh = figures(status);
    reading = {headline: headline(status), now: clock(status.now), at: Date.now()};
    document.getElementById('version').textContent = status.version;
    patch(document.getElementById('figures'), fresh);
    return null;
}

function understand(body) {
    let status;
    try {
        status = JSON.parse(body);
    } catch (error) {
        return obstacle('The answer is no JSON', `${error.message}. Trying again every ${EVERY / 1000} s.`);
    }
    try {
        return accept(status);
    } catch (error) {
        return obstacle('The answer is not the status that this page knows',
            `Reload the page: the service may be of another version. ${error.message}`);
    }
}

async function read() {
    try {
        const answer = await fetch(url, {cache: 'no-store', redirect: 'manual', signal: AbortSignal.timeout(PATIENCE)});
        const body = await answer.text();
        return answer.ok ? understand(body) : refusal(answer, body);
    } catch (error) {
        return obstacle(error.name === 'TimeoutError' ? `The service did not answer within ${PATIENCE / 1000} s`
            : 'The service does not answer');
    }
}

function put(id, text) {
    const element = document.getElementById(id);
    if (element.textContent !== text)
        element.textContent = text;
    return element;
}

/* A screen reader hears of a change, not of each second. */
function say(mood, text, said) {
    const word = {good: 'All is well', warn: 'Attention', bad: 'Trouble'}[mood] ?? 'Waiting';
    const verdict = put('verdict', text);
    verdict.className = mood;
    verdict.dataset.mark = {good: '✓', warn: '!', bad: '✕'}[mood] ?? '…';
    document.title = `${word} – sesam-sql ${location.host}`;
    if (document.getElementById('said').textContent.replace(/\b\d+\b/g, '') !== said.replace(/\b\d+\b/g, ''))
        put('said', said);
}

/* Says how things are, or that nobody knows and since when. */
function show() {
    const passed = reading === null ? 0 : Math.max(Date.now() - reading.at, 0);
    const old = trouble !== null || paused || passed > OLD;
    const age = reading === null ? 'There are no figures yet.'
        : `These figures are old: they are of ${reading.now} UTC, ${duration(Math.floor(passed / 1000))} ago.`;
    const text = trouble?.text ?? (paused ? 'Paused' : 'Waiting for the service to answer');
    document.body.className = reading === null ? 'unread' : old ? 'old' : '';
    document.getElementById('freshness').hidden = !old;
    put('pause', paused || trouble?.halts ? 'Ask again' : 'Pause');
    put('freshness', `${age} ${trouble?.hint ?? ''}`);
    if (old || reading === null)
        say(trouble ? 'bad' : '', text, text);
    else
        say(reading.headline.mood, reading.headline.text, reading.headline.said);
}

async function ask() {
    if (asking || paused || document.hidden)
        return;
    clearTimeout(timer);
    asking = true;
    const found = await read();
    asking = false;
    trouble = paused ? null : found;
    show();
    if (!trouble?.halts)
        timer = setTimeout(ask, EVERY);
}

document.getElementById('pause').addEventListener('click', () => {
    if (!paused && !trouble?.halts) {
        paused = true;
        trouble = null;
        return show();
    }
    paused = false;
    ask();
});
document.addEventListener('visibilitychange', () => {
    show();
    ask();
});
setInterval(() => document.hidden || show(), 1000);
ask();

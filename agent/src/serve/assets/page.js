// Keeps an open page true: relative times, events, filters, the strip's reasons. Without it the page works by reload.
(() => {
  'use strict';
  const root = document.documentElement;
  root.classList.add('scripted');
  const byId = (id) => document.getElementById(id);
  let skew = Number(root.dataset.now) - Date.now();
  const now = () => Date.now() + skew;

  // Times: the same words as the server's.
  const rough = (ms) => {
    const s = Math.max(0, Math.floor(ms / 1000));
    if (s < 90) return `${s}\u00a0s`;
    if (s < 5400) return `${Math.floor(s / 60)}\u00a0min`;
    if (s < 172800) return `${Math.floor(s / 3600)}\u00a0h`;
    return `${Math.floor(s / 86400)}\u00a0d`;
  };
  const words = {
    at: (ms) => (ms > 0 ? `in ${rough(ms)}` : -ms < 1000 ? 'just now' : `${rough(-ms)} ago`),
    due: (ms) => (ms > 0 ? `in ${rough(ms)}` : 'now'),
    for: (ms) => rough(-ms),
  };
  const local = (ms) => new Date(ms).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'medium' });
  const tick = () => {
    const at = now();
    for (const [kind, say] of Object.entries(words)) {
      for (const time of document.querySelectorAll(`time[data-${kind}]`)) {
        const text = say(Date.parse(time.dateTime) - at);
        if (time.textContent !== text) time.textContent = text;
      }
    }
  };
  setInterval(tick, 1000);
  // The local time joins the title when somebody points at it.
  document.addEventListener('pointerover', (event) => {
    const time = event.target.closest?.('time[datetime]');
    if (!time || time.dataset.local) return;
    time.dataset.local = '1';
    const utc = time.title || time.textContent;
    time.title = `${utc}\n${local(Date.parse(time.dateTime))} here`;
  });

  const parse = (html) => {
    const template = document.createElement('template');
    template.innerHTML = html;
    return template.content;
  };
  const get = async (url) => {
    const answer = await fetch(url, { headers: { accept: 'text/html' } });
    if (answer.status === 401) location.reload();
    if (!answer.ok) throw new Error(`${url}: ${answer.status}`);
    return answer.text();
  };

  // Rows: those that changed are asked for, if somebody can see them.
  const stale = new Set();
  const seen = new Set();
  const watcher = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) seen.add(target.id); else seen.delete(target.id);
    }
    renew();
  }, { rootMargin: '200px' });
  const watch = (within) => within.querySelectorAll('tr[id]').forEach((row) => watcher.observe(row));
  let renewing = false;
  const renew = async () => {
    const wanted = [...stale].filter((id) => seen.has(id)).slice(0, 150);
    if (renewing || !wanted.length || document.hidden) return;
    renewing = true;
    wanted.forEach((id) => stale.delete(id));
    try {
      const fresh = parse(await get(`/fragments/rows?ids=${wanted.map((id) => id.slice(1)).join()}`));
      for (const row of fresh.querySelectorAll('tr[id]')) {
        const old = byId(row.id);
        if (!old) continue;
        const focus = old.contains(document.activeElement) ? document.activeElement.className : null;
        if (old.className.split(' ')[0] !== row.className.split(' ')[0]) row.classList.add('fresh');
        watcher.unobserve(old);
        old.replaceWith(row);
        watcher.observe(row);
        if (focus !== null) (row.querySelector(focus ? `.${focus}` : 'a') ?? row.querySelector('a'))?.focus({ preventScroll: true });
      }
    } catch {
      wanted.forEach((id) => stale.add(id));
    }
    renewing = false;
  };
  document.addEventListener('visibilitychange', renew);

  // Cards: those that did not change stay, so that nothing jumps under the hand.
  const patchCards = (html) => {
    const held = byId('troubles');
    const focus = held.contains(document.activeElement) ? document.activeElement.closest('.card')?.id : null;
    const place = [...held.querySelectorAll('.card a')].indexOf(document.activeElement);
    const fresh = parse(html);
    for (const card of fresh.querySelectorAll('.card')) {
      const old = byId(card.id);
      if (old && old.dataset.v === card.dataset.v) card.replaceWith(old);
    }
    held.replaceChildren(fresh);
    if (focus) ([...held.querySelectorAll('.card a')][place] ?? byId(focus)?.querySelector('a'))?.focus({ preventScroll: true });
  };

  // Other views: the parts that say so are taken from the page anew.
  let refreshing = false;
  const refresh = async () => {
    if (refreshing || document.hidden) return;
    refreshing = true;
    try {
      const page = new DOMParser().parseFromString(await get(location.href), 'text/html');
      for (const part of page.querySelectorAll('[data-live]')) {
        const old = document.querySelector(`[data-live="${part.dataset.live}"]`);
        if (old && !old.contains(document.activeElement) && !old.contains(getSelection()?.anchorNode)) old.replaceWith(document.adoptNode(part));
      }
      document.title = page.title;
    } catch { /* The next event tries again. */ }
    refreshing = false;
  };

  // Events.
  const live = byId('live');
  const tell = (on, text) => { live.className = `live ${on ? 'on' : 'off'}`; live.textContent = text; };
  const clock = document.querySelector('time[data-clock]');
  const listen = () => {
    const source = new EventSource(`/events?since=${root.dataset.since}`);
    source.onopen = () => tell(true, 'live');
    source.onerror = () => {
      tell(false, 'reconnecting');
      // Refused, not only cut: the browser gives up, we do not.
      if (source.readyState === EventSource.CLOSED) setTimeout(listen, 5000);
    };
    source.addEventListener('reload', () => location.reload());
    source.addEventListener('update', (event) => {
      const update = JSON.parse(event.data);
      root.dataset.since = event.lastEventId;
      skew = update.now - Date.now();
      clock.dateTime = new Date(update.now).toISOString();
      clock.textContent = clock.dateTime.slice(0, 19).replace('T', ' ') + ' UTC';
      if (byId('icon').getAttribute('href') !== update.icon) byId('icon').href = update.icon;
      if (root.dataset.view === 'overview') {
        document.title = update.title;
        if (!byId('headline').contains(document.activeElement)) byId('headline').replaceChildren(parse(update.headline));
        if (update.troubles !== undefined) patchCards(update.troubles);
        update.probes.forEach((probe) => stale.add(`p${probe}`));
        renew();
      } else if (root.dataset.view === 'agent' || update.probes.includes(Number(root.dataset.probe))) {
        refresh();
      }
    });
  };
  listen();

  // Filter: kept in the URL, judged by the server.
  const form = byId('filter');
  if (form) {
    const list = byId('list');
    const reload = async () => {
      const query = new URLSearchParams([...new FormData(form)].filter(([, value]) => value !== ''));
      history.replaceState(null, '', query.size ? `/?${query}` : '/');
      try {
        const fresh = parse(await get(`/fragments/rows?${query}`));
        if (location.search !== (query.size ? `?${query}` : '')) return;
        byId('shown').textContent = fresh.querySelector('#shown').textContent;
        fresh.querySelector('#shown').remove();
        watcher.disconnect();
        seen.clear();
        stale.clear();
        list.replaceChildren(fresh);
        begin();
      } catch { form.submit(); }
    };
    let soon;
    form.addEventListener('input', () => { clearTimeout(soon); soon = setTimeout(reload, 150); });
    form.addEventListener('submit', (event) => { event.preventDefault(); reload(); });

    // The rest of the rows follows as one scrolls.
    const extend = async (link) => {
      if (link.dataset.busy) return;
      link.dataset.busy = '1';
      try {
        const fresh = parse(await get(link.dataset.next));
        const table = list.querySelector('.probes');
        const groups = [...fresh.querySelectorAll('.probes > tbody')];
        link.closest('.more').replaceWith(...fresh.querySelectorAll('.more'));
        table.append(...groups);
        groups.forEach(watch);
        follow();
      } catch { delete link.dataset.busy; }
    };
    const follower = new IntersectionObserver((entries) => entries.forEach((entry) => entry.isIntersecting && extend(entry.target)), { rootMargin: '600px' });
    const follow = () => list.querySelectorAll('a[data-next]').forEach((link) => follower.observe(link));
    list.addEventListener('click', (event) => {
      const link = event.target.closest('a[data-next]');
      if (link) { event.preventDefault(); extend(link); }
    });
    const begin = () => { watch(list); follow(); };
    begin();

    // A line or a card that is a filter changes the form instead of loading the page.
    document.addEventListener('click', (event) => {
      const link = event.target.closest('a.tally, .also a');
      if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      const states = new URLSearchParams(new URL(link.href).search).getAll('state');
      const boxes = [...form.querySelectorAll('[name=state]')];
      const same = boxes.every((box) => box.checked === states.includes(box.value));
      boxes.forEach((box) => { box.checked = !same && states.includes(box.value); });
      reload();
      form.scrollIntoView({ block: 'start', behavior: matchMedia('(prefers-reduced-motion: reduce)').matches ? 'auto' : 'smooth' });
    });
    document.addEventListener('keydown', (event) => {
      if (event.key === '/' && !event.target.closest('input, select, textarea')) { event.preventDefault(); form.q.focus(); }
    });
  }

  // Strip: reasons and links are asked for when somebody points at it.
  const tip = document.createElement('div');
  tip.className = 'tip';
  tip.role = 'status';
  tip.hidden = true;
  document.body.append(tip);
  const asked = new WeakMap();
  const reasons = (strip) => {
    if (!asked.has(strip)) asked.set(strip, get(`/fragments/strip/${strip.dataset.strip}`).then(JSON.parse).catch(() => []));
    return asked.get(strip);
  };
  let pointed = null;
  const hide = () => { tip.hidden = true; pointed = null; };
  const point = async (strip, place) => {
    pointed = { strip, place };
    const runs = await reasons(strip);
    if (pointed?.strip !== strip || pointed.place !== place) return;
    const run = runs[place - (60 - runs.length)];
    if (!run) { tip.hidden = true; return; }
    const time = document.createElement('span');
    time.textContent = `${words.at(run.at - now())} · ${local(run.at)}`;
    const text = document.createElement('b');
    text.textContent = run.text;
    tip.replaceChildren(text, time);
    tip.hidden = false;
    const box = strip.getBoundingClientRect();
    const x = box.left + ((place + 0.5) / 60) * box.width - tip.offsetWidth / 2;
    tip.style.left = `${Math.max(8, Math.min(x, innerWidth - tip.offsetWidth - 8))}px`;
    tip.style.top = `${box.top > tip.offsetHeight + 12 ? box.top - tip.offsetHeight - 6 : box.bottom + 6}px`;
    strip.dataset.run = run.href;
  };
  const placeOf = (strip, event) => {
    const box = strip.getBoundingClientRect();
    return Math.max(0, Math.min(59, Math.floor(((event.clientX - box.left) / box.width) * 60)));
  };
  document.addEventListener('pointermove', (event) => {
    const strip = event.target.closest?.('a.strip');
    if (!strip) { if (pointed && document.activeElement !== pointed.strip) hide(); return; }
    const place = placeOf(strip, event);
    if (pointed?.strip !== strip || pointed.place !== place) point(strip, place);
  });
  document.addEventListener('focusin', (event) => { if (event.target.matches?.('a.strip:focus-visible')) point(event.target, 59); });
  document.addEventListener('focusout', hide);
  addEventListener('scroll', hide, { passive: true });
  document.addEventListener('keydown', (event) => {
    const strip = event.target.closest?.('a.strip');
    if (event.key === 'Escape') hide();
    if (!strip || !['ArrowLeft', 'ArrowRight', 'Home', 'End'].includes(event.key)) return;
    event.preventDefault();
    const place = pointed?.strip === strip ? pointed.place : 59;
    const next = { ArrowLeft: place - 1, ArrowRight: place + 1, Home: 0, End: 59 }[event.key];
    point(strip, Math.max(0, Math.min(59, next)));
  });
  document.addEventListener('click', (event) => {
    const strip = event.target.closest?.('a.strip');
    if (!strip || !strip.dataset.run || pointed?.strip !== strip || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    location.assign(strip.dataset.run);
  });
})();

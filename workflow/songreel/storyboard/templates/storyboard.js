"use strict";
(() => {
  const EVERY = 3000; // milliseconds between two looks at what has been drawn
  const SCRIPT = "storyboard.js";
  const id = (name) => document.getElementById(name);
  const [video, words, next, timeline, playhead, rows] =
    ["words", "next", "timeline", "playhead", "lines"].reduce((all, name) => [...all, id(name)], [document.querySelector("video")]);
  let board = JSON.parse(id("facts").textContent);
  let shown = -1; // the frame of the film that is told of
  let wanted = 0; // the frame that was asked for last
  let playing = null; // the number of the line whose clip is in the player; null for the film
  let source = board.film; // the film's address
  let loaded = video.getAttribute("src"); // the address of what is in the player
  let stale = false; // whether the player has another film than there is, or a clip although there is one

  // Frames and seconds

  const seconds = (frames) => (frames * board.rate[1]) / board.rate[0];
  // A hair more, since the times of frames are rounded.
  const frames = (time) => Math.floor((time * board.rate[0]) / board.rate[1] + 0.01);
  const within = (frame) => Math.min(Math.max(frame, 0), board.frames - 1);
  const lineAt = (frame) => Math.max(0, board.lines.findLastIndex((line) => line.first <= frame));
  const base = () => (playing === null ? 0 : board.lines[playing - 1].first);
  const here = (time = video.currentTime) => within(base() + frames(time));

  function clock(time) {
    const tenths = Math.round(time * 10);
    const [hours, minutes, rest] = [Math.floor(tenths / 36000), Math.floor(tenths / 600) % 60, (tenths % 600) / 10];
    const tail = rest.toFixed(1).padStart(4, "0");
    return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${tail}` : `${minutes}:${tail}`;
  }

  // What is in the player: the film, or a line's clip while there is no film

  const film = () => (board.finished ? board.film : null);
  // Another film may have the same name.
  const version = (facts) => (facts.finished ? facts.lines.map((line) => line.clip).join(" ") : "");

  function load(address) {
    if (video.src.startsWith("blob:") && loaded !== address) URL.revokeObjectURL(video.src);
    if (loaded !== address) video.src = loaded = address;
    id("empty").hidden = true;
  }

  // In Snakemake's report, page and film lie in two folders.
  function lookElsewhere() {
    if (loaded !== board.film || source !== board.film || !board.elsewhere) return;
    source = board.elsewhere;
    load(source);
  }
  video.addEventListener("error", lookElsewhere);
  if (video.error) lookElsewhere();

  function toFilm() {
    stale = false;
    playing = null;
    load(source);
  }

  // To the middle of a frame: where it begins, a browser may still show the one before.
  function seek(frame) {
    const target = within(frame);
    const { clip } = board.lines[lineAt(target)];
    if (film()) {
      if (stale || playing !== null) toFilm();
    } else if (clip) {
      playing = lineAt(target) + 1;
      load(clip);
    } else {
      return show(target);
    }
    wanted = target;
    place();
    return show(target);
  }

  const place = () => (video.currentTime = seconds(wanted - base() + 0.5));

  function toLine(number) {
    const line = board.lines[number - 1];
    if (!line) return;
    seek(line.first);
    if (!film() && line.clip) video.play().catch(() => {});
    const row = id(`line-${number}`);
    if (rows.contains(document.activeElement)) row.querySelector(".go").focus({ preventScroll: true });
    row.scrollIntoView({ block: "nearest", behavior: calm() ? "auto" : "smooth" });
  }

  const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

  function toggle() {
    if (!loaded) return;
    if (video.paused) video.play().catch(() => {});
    else video.pause();
  }

  // What is told of the frame that is seen

  function show(frame) {
    if (frame === shown) return;
    shown = frame;
    const line = lineAt(frame);
    const time = clock(seconds(frame + 0.5));
    playhead.style.transform = `translateX(${(100 * frame) / board.frames}%)`;
    timeline.setAttribute("aria-valuenow", frame);
    timeline.setAttribute("aria-valuetext", `${time}, line ${line + 1}`);
    id("now").textContent = time;
    id("frame").textContent = `line ${line + 1} · frame ${frame}`;
    say(words, board.lines.findLast((entry) => entry.sung <= frame));
    say(next, board.lines.find((entry) => entry.sung > frame));
    point(line, frame);
  }

  function say(element, line) {
    const text = line ? line.text : "";
    if (element.textContent !== text) element.textContent = text;
  }

  function point(line, frame) {
    const row = id(`line-${line + 1}`);
    const before = rows.querySelector(".current");
    if (before !== row) {
      const follow = before && !video.paused && isSeen(before);
      for (const [entry, on] of [[before, false], [row, true]]) if (entry) mark(entry, on);
      if (follow) row.scrollIntoView({ block: "nearest", behavior: calm() ? "auto" : "smooth" });
    }
    const marks = id("wave").querySelectorAll("i");
    if (!marks[line].matches(".current")) marks.forEach((entry, at) => entry.classList.toggle("current", at === line));
    const pictures = row.querySelectorAll(".frames button");
    const part = Math.floor(((frame - board.lines[line].first) * pictures.length) / board.lines[line].frames);
    pictures.forEach((entry, at) => entry.classList.toggle("shown", at === part));
  }

  // Only the current row's pictures and id are in the order of Tab: all of them would be hundreds.
  function mark(row, on) {
    row.classList.toggle("current", on);
    const go = row.querySelector(".go");
    if (on) go.setAttribute("aria-current", "true");
    else go.removeAttribute("aria-current");
    row.querySelectorAll(".frames button, .copy").forEach((entry) => (entry.tabIndex = on ? 0 : -1));
    if (!on) row.querySelectorAll(".shown").forEach((entry) => entry.classList.remove("shown"));
  }

  function isSeen(row) {
    const { top, bottom } = row.getBoundingClientRect();
    return bottom > 0 && top < innerHeight;
  }

  function followFrames() {
    if (!video.requestVideoFrameCallback) {
      const tick = () => {
        if (loaded && !video.paused) show(here());
        requestAnimationFrame(tick);
      };
      return tick();
    }
    const seen = (_, frame) => {
      if (!video.seeking) show(here(frame.mediaTime));
      video.requestVideoFrameCallback(seen);
    };
    return video.requestVideoFrameCallback(seen);
  }

  // Without a film, clips are shown one after the other as far as they go.
  video.addEventListener("ended", () => {
    const after = playing === null ? null : board.lines[playing];
    if (after && after.clip && !film()) toLine(playing + 1);
  });
  video.addEventListener("pause", () => stale && adopt());
  for (const kind of ["timeupdate", "seeked"]) video.addEventListener(kind, () => loaded && show(here()));
  // A click on the player leaves the keys to the page; who gets there by Tab has the player's own.
  video.addEventListener("click", () => video.blur());

  // A server that cannot be asked for a part of a file, as Python's, lets nobody seek: then all of it is fetched.
  video.addEventListener("loadedmetadata", async () => {
    const reach = video.seekable.length ? video.seekable.end(video.seekable.length - 1) : 0;
    // Not every browser keeps what was asked for before it knew the film.
    place();
    if (!location.protocol.startsWith("http") || reach > 0 || video.src.startsWith("blob:")) return;
    const [address, goesOn] = [loaded, !video.paused];
    const whole = await fetch(address).then((answer) => answer.blob(), () => null);
    if (!whole || loaded !== address) return;
    video.src = URL.createObjectURL(whole);
    if (goesOn) video.play().catch(() => {});
  });

  // What people do

  document.addEventListener("click", (event) => {
    const copied = event.target.closest(".copy");
    if (copied) return copy(copied);
    const picture = event.target.closest("[data-frame]");
    if (picture && !picture.matches(".go, .weakest *")) return seek(Number(picture.dataset.frame));
    if (picture) return toLine(Number(picture.dataset.line));
    const row = event.target.closest("#lines tr");
    if (row && !String(getSelection())) toLine(Number(row.querySelector(".go").dataset.line));
  });

  async function copy(button) {
    const code = button.querySelector("code");
    // A page from a server without encryption may not copy.
    if (!navigator.clipboard) {
      code.textContent = button.dataset.id;
      return getSelection().selectAllChildren(code);
    }
    await navigator.clipboard.writeText(button.dataset.id);
    id("said").textContent = `${button.dataset.id} is copied`;
    code.textContent = "copied";
    return setTimeout(() => (code.textContent = button.dataset.id.slice(0, 8)), 1200);
  }

  const KEYS = {
    " ": toggle,
    ArrowLeft: () => step(-1),
    ArrowRight: () => step(1),
    ArrowUp: () => toLine(lineAt(shown) + (shown > board.lines[lineAt(shown)].first ? 1 : 0)),
    ArrowDown: () => toLine(lineAt(shown) + 2),
    Home: () => toLine(1),
    End: () => toLine(board.lines.length),
  };

  function step(by) {
    video.pause();
    seek(shown + by);
  }

  document.addEventListener("keydown", (event) => {
    const act = KEYS[event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey || event.target === video) return;
    if (event.key === " " && event.target.closest(".copy")) return;
    event.preventDefault();
    act();
  });
  // A button would be pressed by the Space that plays.
  document.addEventListener("keyup", (event) => {
    if (event.key === " " && event.target.closest("button:not(.copy)")) event.preventDefault();
  });

  const scrub = (event) => {
    const { left, width } = timeline.getBoundingClientRect();
    seek(Math.floor(((event.clientX - left) / width) * board.frames));
  };
  timeline.addEventListener("pointerdown", (event) => {
    timeline.setPointerCapture(event.pointerId);
    scrub(event);
  });
  timeline.addEventListener("pointermove", (event) => timeline.hasPointerCapture(event.pointerId) && scrub(event));

  // What has been drawn since the page was opened

  // Called by the script beside the page. A page from disk may run one, and may not fetch it.
  window.songreelStoryboard = ({ facts, parts }) => {
    const before = version(board);
    board = facts;
    for (const [name, [stamp, part]] of Object.entries(parts)) patch(name, stamp, part);
    while (rows.children.length > board.lines.length) rows.lastElementChild.remove();
    // The line whose clip is in the player may have another number, or be gone.
    if (playing !== null) playing = board.lines.findIndex((line) => line.clip === loaded) + 1 || null;
    if (playing === null && !film() && loaded !== source) loaded = null;
    if (film() && version(board) !== before) {
      source = `${board.film}?${Date.now()}`;
      stale = true;
    }
    settle();
  };

  function settle() {
    const frame = within(Math.max(0, shown));
    id("of").textContent = `of ${clock(seconds(board.frames))}`;
    timeline.setAttribute("aria-valuemax", board.frames - 1);
    shown = -1;
    if (stale && video.paused) adopt();
    else if (loaded) show(frame);
    else seek(film() ? 0 : Math.max(0, board.lines.find((line) => line.clip)?.first ?? 0));
  }

  // The film comes into the player when nothing plays, at the frame that was seen.
  function adopt() {
    const goOn = video.ended && playing !== null;
    seek(loaded ? here() : 0);
    if (goOn) video.play().catch(() => {});
  }

  function patch(name, stamp, part) {
    const old = id(name);
    if (old && old.dataset.version === stamp) return;
    const focus = old && old.contains(document.activeElement) && alike(document.activeElement);
    const fresh = old || document.createElement("tr");
    if (!old) {
      fresh.id = name;
      fresh.setAttribute("role", "row");
      rows.append(fresh);
    }
    fresh.innerHTML = part;
    fresh.classList.remove("current");
    fresh.dataset.version = stamp;
    if (focus) (fresh.querySelector(focus) || fresh.querySelector("button"))?.focus({ preventScroll: true });
  }

  // What finds a button again in a part that was made anew.
  function alike(element) {
    const { frame, line } = element.dataset;
    return element.matches(".copy, .go") ? `.${element.className}` : `[data-frame="${frame}"][data-line="${line}"]`;
  }

  let looking = 0;
  let missed = 0; // how often there was no script beside a finished page, as where it alone was copied
  function look() {
    clearTimeout(looking);
    if (document.hidden || missed > 2) return;
    const began = performance.now();
    const script = document.createElement("script");
    const done = () => {
      script.remove();
      // Seldom enough where it takes long, over a network.
      if (!board.finished) looking = setTimeout(look, Math.max(EVERY, 10 * (performance.now() - began)));
    };
    script.onload = done;
    script.onerror = () => {
      if (board.finished) missed += 1;
      done();
    };
    script.src = `${SCRIPT}?${Date.now()}`;
    document.head.append(script);
  }
  document.addEventListener("visibilitychange", look);
  addEventListener("focus", look);

  followFrames();
  settle();
  if (!board.finished) look();
})();

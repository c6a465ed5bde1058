// Paints a scene (see scene.py) as SVG and lets the reader move its draggable points by mouse,
// touch or arrow keys, and add and remove those that are named in `more`. `static.py` paints the same
// scene with matplotlib: keep the two alike. Paper and ink are the page's own (plane.css).

const WIDTH = 480;
const MARGIN = { left: 60, right: 14, top: 8, bottom: 44 };
const KINDS = ["inks", "levels", "bands", "bars", "curves", "arrows", "intervals", "points"];
const HEIGHT_OF_BOX = 0.62; // of its width, unless both axes have the same scale
let planes = 0;

function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

function div(name) {
  const node = document.createElement("div");
  node.className = name;
  return node;
}

// ---- numbers and axes

function words(value) {
  const rounded = Number(value.toPrecision(3));
  return String(rounded).replace("-", "−");
}

function raised(power) {
  const digits = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };
  return "10" + [...String(power)].map((c) => digits[c]).join("");
}

function axis([low, high], log, from, to) {
  const f = log ? Math.log10 : (v) => v;
  const inverse = log ? (v) => 10 ** v : (v) => v;
  const [a, b] = [f(low), f(high)];
  const scale = (v) => from + ((f(v) - a) / (b - a)) * (to - from);
  scale.invert = (pixel) => inverse(a + ((pixel - from) / (to - from)) * (b - a));
  scale.clamp = (v) => Math.min(high, Math.max(low, v));
  scale.move = (v, part) => scale.clamp(inverse(f(v) + part * (b - a)));
  scale.ticks = log ? decades(a, b) : round_ticks(a, b);
  return scale;
}

function named_ticks(scale, ticks) {
  if (ticks.length) scale.ticks = ticks;
  return scale;
}

function round_ticks(low, high) {
  const rough = (high - low) / 6;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((m) => m * power >= rough * 0.999);
  const ticks = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; i++) {
    ticks.push([i * step, words(i * step)]);
  }
  return ticks;
}

function decades(low, high) {
  const every = Math.max(1, Math.ceil((high - low) / 7));
  const ticks = [];
  for (let i = Math.ceil(low - 1e-9); i <= high + 1e-9; i++) {
    if (i % every === 0) ticks.push([10 ** i, raised(i)]);
  }
  return ticks;
}

function frame(scene) {
  const width = WIDTH - MARGIN.left - MARGIN.right;
  const span = ([low, high]) => high - low;
  const ratio = scene.equal ? span(scene.ylim) / span(scene.xlim) : HEIGHT_OF_BOX;
  const height = Math.round(width * ratio);
  const [left, top] = [MARGIN.left, MARGIN.top];
  return {
    left, top, width, height, right: left + width, bottom: top + height,
    x: named_ticks(axis(scene.xlim, scene.xlog, left, left + width), scene.xticks),
    y: axis(scene.ylim, scene.ylog, top + height, top),
  };
}

// ---- marks

function stroke(role, extra = {}) {
  const dash = role.dash.map((d) => d * role.width).join(" ");
  return {
    fill: "none", stroke: role.colour, "stroke-width": role.width,
    "stroke-dasharray": dash, "stroke-linejoin": "round", ...extra,
  };
}

function marker(role, x, y, size) {
  const look = { fill: role.colour, stroke: role.edge || "var(--paper)", "stroke-width": 1.2 };
  const polygon = (corners) =>
    svg("polygon", { ...look, points: corners.map(([a, b]) => `${x + a * size},${y + b * size}`).join(" ") });
  if (role.marker === "s") return polygon([[-0.9, -0.9], [0.9, -0.9], [0.9, 0.9], [-0.9, 0.9]]);
  if (role.marker === "D") return polygon([[0, -1.25], [1.25, 0], [0, 1.25], [-1.25, 0]]);
  if (role.marker === "^") return polygon([[0, -1.1], [1.05, 0.9], [-1.05, 0.9]]);
  if (role.marker === "v") return polygon([[0, 1.1], [1.05, -0.9], [-1.05, -0.9]]);
  if (role.marker === "P") {
    const arm = [[0.4, -1.1], [0.4, -0.4], [1.1, -0.4]];  // a filled plus, a quarter turn at a time
    const turned = (i) => arm.map(([a, b]) => [[a, b], [-b, a], [-a, -b], [b, -a]][i]);
    return polygon([0, 1, 2, 3].flatMap(turned));
  }
  if (role.marker === "*") {
    const ray = (i) => [i % 2 ? 0.75 : 1.9, (Math.PI * i) / 5 - Math.PI / 2];
    return polygon([...Array(10).keys()].map(ray).map(([r, t]) => [r * Math.cos(t), r * Math.sin(t)]));
  }
  return svg("circle", { ...look, cx: x, cy: y, r: size });
}

function path_of(xs, ys, x, y) {
  let [d, pen] = ["", false];
  xs.forEach((v, i) => {
    const gap = v === null || ys[i] === null;
    if (!gap) d += `${pen ? "L" : "M"}${x(v).toFixed(2)} ${y(ys[i]).toFixed(2)}`;
    pen = !gap;
  });
  return d;
}

function arrow_between(role, x0, y0, x1, y1) {
  const length = Math.hypot(x1 - x0, y1 - y0);
  if (length < 0.5) return svg("g");
  const head = Math.min(13, length);
  const [u, v] = [(x1 - x0) / length, (y1 - y0) / length];
  const [bx, by] = [x1 - head * u, y1 - head * v];
  const wing = 0.42 * head;
  const corners = [[x1, y1], [bx - wing * v, by + wing * u], [bx + wing * v, by - wing * u]];
  return svg("g", {},
    svg("line", { x1: x0, y1: y0, x2: bx, y2: by, stroke: role.colour, "stroke-width": role.width + 0.6 }),
    svg("polygon", { points: corners.join(" "), fill: role.colour }));
}

// ---- the parts of a panel

function paint_axes(scene, box) {
  const group = svg("g", { "aria-hidden": "true" });
  const line = (x1, y1, x2, y2, colour) => svg("line", { x1, y1, x2, y2, stroke: colour });
  if (scene.diagram) return group;
  const middle = [box.left + box.width / 2, box.top + box.height / 2];
  for (const [value, text] of box.x.ticks) {
    const at = box.x(value);
    group.append(line(at, box.top, at, box.bottom, "var(--grid)"));
    group.append(svg("text", { x: at, y: box.bottom + 17, "text-anchor": "middle" }, text));
  }
  group.append(line(box.left, box.bottom, box.right, box.bottom, "var(--ink)"));
  group.append(svg("text", { x: middle[0], y: box.bottom + 38, "text-anchor": "middle" }, scene.xlabel));
  if (scene.rows) return group;
  for (const [value, text] of box.y.ticks) {
    const at = box.y(value);
    group.append(line(box.left, at, box.right, at, "var(--grid)"));
    group.append(svg("text", { x: box.left - 7, y: at + 4.5, "text-anchor": "end" }, text));
  }
  group.append(line(box.left, box.top, box.left, box.bottom, "var(--ink)"));
  const turned = `translate(15 ${middle[1]}) rotate(-90)`;
  group.append(svg("text", { transform: turned, "text-anchor": "middle" }, scene.ylabel));
  return group;
}

function paint_content(scene, box, roles, clip) {
  const group = svg("g", { "aria-hidden": "true", "clip-path": `url(#${clip})` });
  const { x, y } = box;
  for (const ink of scene.inks.filter((i) => !i.press)) group.append(paint_ink(ink, box, roles));
  for (const level of scene.levels) {
    const d = level.lines.map(([a, b]) => path_of(a, b, x, y)).join("");
    group.append(svg("path", stroke(roles[level.role], { d })));
  }
  for (const band of scene.bands) {
    const there = path_of(band.x, band.high, x, y);
    const back = path_of([...band.x].reverse(), [...band.low].reverse(), x, y).replace("M", "L");
    group.append(svg("path", { d: there + back + "Z", fill: roles[band.role].colour, opacity: 0.25 }));
  }
  for (const bars of scene.bars) bars.at.forEach((_, i) => group.append(paint_bar(bars, i, box, roles)));
  for (const curve of scene.curves) {
    const role = roles[curve.role];
    group.append(svg("path", stroke(role, { d: path_of(curve.x, curve.y, x, y) })));
    if (curve.markers) curve.x.forEach((v, i) => mark(group, role, v, curve.y[i], box, 3.2));
  }
  for (const arrow of scene.arrows) {
    const [x0, x1] = arrow.x.map(x);
    const [y0, y1] = arrow.y.map(y);
    group.append(arrow_between(roles[arrow.role], x0, y0, x1, y1));
  }
  for (const some of scene.intervals) some.at.forEach((_, i) => group.append(paint_interval(some, i, box, roles)));
  return group;
}

// A bar from 0; across one that is cut go two strokes of paper, just before its end.
function paint_bar(bars, i, box, roles) {
  const upright = bars.axis === "y";
  const [along, across] = upright ? [box.y, box.x] : [box.x, box.y];
  const [from, to] = [along(0), along(bars.end[i])];
  const [one, other] = [across(bars.at[i] - bars.width / 2), across(bars.at[i] + bars.width / 2)];
  const rect = (a, b, c, d) => (upright
    ? { x: Math.min(c, d), y: Math.min(a, b), width: Math.abs(d - c), height: Math.abs(b - a) }
    : { x: Math.min(a, b), y: Math.min(c, d), width: Math.abs(b - a), height: Math.abs(d - c) });
  const bar = svg("g", {}, svg("rect", { ...rect(from, to, one, other), fill: roles[bars.role].colour }));
  if (!bars.cut[i]) return bar;
  const back = Math.sign(from - to);
  for (const far of [12, 19]) {
    const at = to + back * far;
    bar.append(svg("rect", { ...rect(at, at + back * 3, one, other), fill: "var(--paper)", class: "cut" }));
  }
  return bar;
}

// A line with caps that stand out above and below any mark.
function paint_interval(some, i, box, roles) {
  const upright = some.axis === "y";
  const [along, across] = upright ? [box.y, box.x] : [box.x, box.y];
  const [from, to, at] = [along(some.low[i]), along(some.high[i]), across(some.at[i])];
  const cap = (end) => (upright ? `M${at - 10} ${end}h20` : `M${end} ${at - 10}v20`);
  const line = upright ? `M${at} ${from}V${to}` : `M${from} ${at}H${to}`;
  return svg("path", { d: line + cap(from) + cap(to), stroke: roles[some.role].colour, "stroke-width": 2, fill: "none" });
}

function paint_ink(ink, box, roles) {
  const [left, right] = [box.x(ink.x - ink.size / 2), box.x(ink.x + ink.size / 2)];
  const [top, bottom] = [box.y(ink.y + ink.size / 2), box.y(ink.y - ink.size / 2)];
  const [w, h] = [(right - left) / ink.pixels[0].length, (bottom - top) / ink.pixels.length];
  let d = "";
  ink.pixels.forEach((row, j) => {
    for (const run of row.matchAll(/1+/g)) {
      const [x, y] = [left + run.index * w, top + j * h];
      d += `M${x.toFixed(2)} ${y.toFixed(2)}h${(run[0].length * w).toFixed(2)}v${h.toFixed(2)}h${(-run[0].length * w).toFixed(2)}Z`;
    }
  });
  const role = roles[ink.role];
  const frame = { x: left, y: top, width: right - left, height: bottom - top, class: "frame" };
  return svg("g", {},
    svg("rect", { ...frame, fill: "var(--paper)", stroke: role.colour, "stroke-width": role.width + 0.8 }),
    svg("path", { d, fill: "var(--ink)", "shape-rendering": "crispEdges" }));
}

function paint_button(note, box) {
  const [x, y, wide] = [box.x(note.x), box.y(note.y), 16 + 7.4 * note.text.length];
  const from = { left: x, middle: x - wide / 2, right: x - wide }[note.anchor];
  return svg("g", {},
    svg("rect", { x: from, y: y - 13, width: wide, height: 26, rx: 6, fill: "var(--paper)", stroke: "var(--ink)", class: "frame" }),
    svg("text", { x: from + wide / 2, y: y + 4.5, "text-anchor": "middle" }, note.text));
}

function mark(group, role, xv, yv, box, size) {
  if (xv !== null && yv !== null) group.append(marker(role, box.x(xv), box.y(yv), size));
}

function paint_top(scene, box, roles) {
  const group = svg("g", { "aria-hidden": "true" });
  for (const points of scene.points.filter((p) => !p.drag)) {
    points.x.forEach((v, i) => {
      const inside = box.x.clamp(v) === v && box.y.clamp(points.y[i]) === points.y[i];
      if (inside) mark(group, roles[points.role], v, points.y[i], box, 5.5);
    });
  }
  for (const note of scene.notes.filter((n) => !n.press)) {
    const anchor = { left: "start", middle: "middle", right: "end" }[note.anchor];
    const place = { x: box.x(note.x), y: box.y(note.y) + 4.5, "text-anchor": anchor, class: "halo" };
    const role = roles[note.role];
    const named = role && !role.edge ? { class: "halo named", style: `--role: ${role.colour}` } : {};
    group.append(svg("text", { ...place, ...named }, note.text));
  }
  return group;
}

function paint_legend(legend, scene, roles) {
  legend.replaceChildren();
  const seen = new Set();
  for (const kind of KINDS) {
    for (const item of scene[kind]) {
      if (!item.label || seen.has(item.role + item.label)) continue;
      seen.add(item.role + item.label);
      const entry = document.createElement("span");
      entry.append(key_of(kind, item, roles[item.role]), item.label);
      legend.append(entry);
    }
  }
}

function key_of(kind, item, role) {
  const key = svg("svg", { viewBox: "0 0 38 14", "aria-hidden": "true" });
  if (kind === "points") key.append(marker(role, 19, 7, 5));
  else if (kind === "inks") key.append(svg("rect", { x: 12, y: 1.5, width: 11, height: 11, fill: "var(--paper)", stroke: role.colour, "stroke-width": 2 }));
  else if (kind === "bands") key.append(svg("rect", { x: 2, y: 2, width: 34, height: 10, fill: role.colour, opacity: 0.25 }));
  else if (kind === "bars") key.append(svg("rect", { x: 2, y: 2, width: 34, height: 10, fill: role.colour }));
  else if (kind === "intervals") key.append(svg("path", { d: "M4 7H34M4 2V12M34 2V12", stroke: role.colour, "stroke-width": 2 }));
  else if (kind === "arrows") key.append(arrow_between(role, 2, 7, 37, 7));
  else key.append(svg("path", stroke(role, { d: "M2 7H36" })));
  if (item.markers) key.append(marker(role, 19, 7, 3.2));
  return key;
}

// ---- draggable points

function handles_of(scene) {
  return scene.points.filter((p) => p.drag).flatMap((p) =>
    p.x.map((x, i) => ({
      key: `${p.drag}.${i}`, drag: p.drag, i, x, y: p.y[i], axis: p.axis, role: p.role,
      name: `${p.label || p.drag}${p.x.length > 1 ? ` ${i + 1} of ${p.x.length}` : ""}`,
    })));
}

function make_handle(handle, role) {
  const node = svg("g", { class: "handle", tabindex: 0, role: "slider", "data-handle": handle.key },
    svg("circle", { r: 18, fill: "transparent" }), svg("circle", { class: "ring", r: 12 }),
    marker(role, 0, 0, 6.5));
  node.setAttribute("aria-roledescription", "movable point");
  return node;
}

function place_handle(node, handle, box, scene) {
  const { x, y } = box;
  node.setAttribute("transform", `translate(${x(x.clamp(handle.x))} ${y(y.clamp(handle.y))})`);
  const said = `${words(handle.x)}, ${words(handle.y)}`;
  node.setAttribute("aria-label", `${handle.name}: move with the arrow keys`);
  node.setAttribute("aria-valuetext", said);
  const [low, high] = handle.axis === "y" ? scene.ylim : scene.xlim;
  node.setAttribute("aria-valuemin", low);
  node.setAttribute("aria-valuemax", high);
  node.setAttribute("aria-valuenow", handle.axis === "y" ? handle.y : handle.x);
}

const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

// ipywidgets leaves its sliders nameless for screen readers: give them the words beside them.
function name_sliders(el) {
  for (const slider of el.closest(".widget-vbox")?.querySelectorAll(".widget-slider") ?? []) {
    const words_beside = slider.querySelector(".widget-label")?.textContent;
    slider.querySelector("[role=slider]")?.setAttribute("aria-label", words_beside);
  }
}

// ---- what can be clicked

function buttons_of(scene, box, roles) {
  const inks = scene.inks.map((ink, i) => [ink, () => paint_ink(ink, box, roles), `${ink.label || "image"} ${i + 1}`]);
  const notes = scene.notes.map((note) => [note, () => paint_button(note, box), note.text]);
  return [...inks, ...notes].filter(([item]) => item.press).map(([item, painted, name]) => {
    const node = painted();
    const said = { class: "press", tabindex: 0, role: "button", "data-press": item.press, "aria-label": name };
    for (const [key, value] of Object.entries(said)) node.setAttribute(key, value);
    return node;
  });
}

// ---- one figure

function render({ model, el }) {
  const clip = `maml-edu-clip-${planes++}`;
  el.classList.add("maml-edu-live");
  const title = div("title");
  const canvas = svg("svg", {});
  const legend = div("legend");
  const spoken = div("spoken");
  spoken.setAttribute("aria-live", "polite");
  el.append(title, canvas, legend, spoken);
  const room = svg("rect", { class: "room", fill: "transparent" });
  const under = svg("g");
  const press_layer = svg("g");
  const handles_layer = svg("g");
  const over = svg("g", { "pointer-events": "none" });
  canvas.append(under, room, press_layer, handles_layer, over);

  let box, handles = [], held = null, waiting = 0, queued = null, speak = 0;
  let pressed_down = { key: "", time: 0 }; // which handle the pointer went down on last, and when

  function paint() {
    const scene = model.get("scene");
    if (!scene.curves) return;
    const roles = model.get("roles");
    box = frame(scene);
    canvas.setAttribute("viewBox", `0 0 ${WIDTH} ${box.bottom + MARGIN.bottom}`);
    const window_ = { x: box.left, y: box.top - 4, width: box.width + 6, height: box.height + 8 };
    under.replaceChildren(
      svg("defs", {}, svg("clipPath", { id: clip }, svg("rect", window_))),
      paint_axes(scene, box), paint_content(scene, box, roles, clip));
    over.replaceChildren(paint_top(scene, box, roles));
    paint_room(scene);
    paint_buttons(scene, roles);
    title.textContent = scene.title;
    paint_legend(legend, scene, roles);
    update_handles(scene, roles);
    describe(scene);
  }

  // A button that goes takes the keyboard's focus with it: the next one gets it.
  function paint_buttons(scene, roles) {
    const focused = press_layer.contains(document.activeElement);
    const before = focused && document.activeElement.dataset.press;
    const buttons = buttons_of(scene, box, roles);
    press_layer.replaceChildren(...buttons);
    if (focused) (buttons.find((b) => b.dataset.press === before) ?? buttons[0])?.focus();
  }

  // Where a click on an empty place adds a point: to the drag that is named in `more` and drawn here.
  function growing(scene) {
    const more = model.get("more") ?? {};
    return scene.points.find((p) => p.drag in more)?.drag;
  }

  function paint_room(scene) {
    const there = growing(scene) ? box : { left: 0, top: 0, width: 0, height: 0 };
    for (const name of ["width", "height"]) room.setAttribute(name, there[name]);
    room.setAttribute("x", there.left);
    room.setAttribute("y", there.top);
  }

  function add(drag, x, y) {
    const own = handles.filter((h) => h.drag === drag);
    if (!own.length || own.length >= model.get("more")[drag]) return;
    const i = own.length;
    const handle = { ...own[0], key: `${drag}.${i}`, i, x, y };
    handle.node = make_handle(handle, model.get("roles")[handle.role]);
    handles_layer.append(handle.node);
    place_handle(handle.node, handle, box, model.get("scene"));
    handles.push(handle);
    send(drag);
  }

  function remove(key) {
    const gone = handles.find((h) => h.key === key);
    const own = handles.filter((h) => h.drag === gone?.drag && h !== gone);
    if (!gone || !(gone.drag in (model.get("more") ?? {})) || !own.length) return;
    gone.node.remove();
    handles = handles.filter((h) => h !== gone);
    own.forEach((handle, i) => {
      Object.assign(handle, { i, key: `${handle.drag}.${i}` });
      handle.node.dataset.handle = handle.key;
    });
    own[Math.min(gone.i, own.length - 1)].node.focus({ focusVisible: false });
    send(gone.drag);
  }

  function press(name) {
    model.set("pressed", { name, count: (model.get("pressed").count ?? 0) + 1 });
    model.save_changes();
  }

  function describe(scene) {
    canvas.setAttribute("role", handles.length || press_layer.childElementCount ? "group" : "img");
    canvas.setAttribute("aria-label", `${scene.title}. ${scene.alt}`);
    clearTimeout(speak); // speak only when the reader has stopped moving things
    speak = setTimeout(() => (spoken.textContent = `${scene.title}. ${scene.alt}`), 600);
  }

  function update_handles(scene, roles) {
    const fresh = handles_of(scene);
    for (const handle of fresh) {
      const old = handles.find((h) => h.key === handle.key);
      handle.node = old ? old.node : make_handle(handle, roles[handle.role]);
      if (old && held === handle.key) { // the hand knows better than a message on its way
        if (handle.axis !== "y") handle.x = old.x;
        if (handle.axis !== "x") handle.y = old.y;
      }
      if (!old) handles_layer.append(handle.node);
      place_handle(handle.node, handle, box, scene);
    }
    for (const old of handles) {
      if (!fresh.some((h) => h.key === old.key)) old.node.remove();
    }
    handles = fresh;
  }

  function move(key, x, y) {
    const handle = handles.find((h) => h.key === key);
    if (!handle) return;
    if (handle.axis !== "y") handle.x = x;
    if (handle.axis !== "x") handle.y = y;
    place_handle(handle.node, handle, box, model.get("scene"));
    send(handle.drag);
  }

  // One message at a time: the next leaves when the scene has come back, or after half a second.
  function send(drag) {
    leave({ [drag]: handles.filter((h) => h.drag === drag).map((h) => [h.x, h.y]) });
  }

  function leave(places) {
    if (waiting) {
      queued = { ...queued, ...places };
      return;
    }
    model.set("moved", { ...model.get("moved"), ...places });
    model.save_changes();
    waiting = setTimeout(answered, 500);
  }

  function answered() {
    clearTimeout(waiting);
    waiting = 0;
    const next = queued;
    queued = null;
    if (next) leave(next);
  }

  function pointer_place(event) {
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(canvas.getScreenCTM().inverse());
    return [box.x.clamp(box.x.invert(at.x)), box.y.clamp(box.y.invert(at.y))];
  }

  canvas.addEventListener("pointerdown", (event) => {
    const node = event.target.closest("[data-handle]");
    const before = pressed_down;
    pressed_down = { key: node?.dataset.handle, time: event.timeStamp };
    if (!node) return;
    if (before.key === pressed_down.key && event.timeStamp - before.time < 400) {
      pressed_down = { key: "", time: 0 };
      event.preventDefault();
      return remove(node.dataset.handle); // a double click
    }
    held = node.dataset.handle;
    canvas.setPointerCapture(event.pointerId);
    node.focus({ focusVisible: false });
    event.preventDefault();
    event.stopPropagation();
  });
  canvas.addEventListener("click", (event) => {
    const node = event.target.closest("[data-press]");
    if (node) press(node.dataset.press);
    if (event.target === room && pressed_down.key === undefined) add(growing(model.get("scene")), ...pointer_place(event));
  });
  canvas.addEventListener("pointermove", (event) => {
    if (held) move(held, ...pointer_place(event));
  });
  const release = () => { held = null; };
  canvas.addEventListener("pointerup", release);
  canvas.addEventListener("pointercancel", release);
  canvas.addEventListener("keydown", (event) => {
    const button = event.target.closest("[data-press]");
    if (button && (event.key === "Enter" || event.key === " ")) {
      event.preventDefault(); // and keep the key from JupyterLab, which would run the cell
      event.stopPropagation();
      return press(button.dataset.press);
    }
    const node = event.target.closest("[data-handle]");
    const direction = KEYS[event.key];
    if (node && (event.key === "Delete" || event.key === "Backspace")) {
      event.preventDefault();
      event.stopPropagation();
      return remove(node.dataset.handle);
    }
    if (!node || !direction) return;
    const part = event.shiftKey ? 0.004 : 0.02;
    const handle = handles.find((h) => h.key === node.dataset.handle);
    move(handle.key, box.x.move(handle.x, direction[0] * part), box.y.move(handle.y, direction[1] * part));
    event.preventDefault(); // and keep the key from JupyterLab, which would change cells
    event.stopPropagation();
  });

  model.on("change:scene", paint);
  model.on("change:scene", answered);
  paint();
  const naming = setTimeout(() => name_sliders(el), 500); // when the sliders are there too
  return () => {
    clearTimeout(waiting);
    clearTimeout(speak);
    clearTimeout(naming);
    model.off("change:scene", paint);
    model.off("change:scene", answered);
  };
}

export default { render };

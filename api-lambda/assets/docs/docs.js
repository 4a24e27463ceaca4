// Shows openapi.json, and lets one try it. All that is shown is set as text, never as markup. Addresses are relative
// to this page, so that a stage before the path is kept.
"use strict";

const METHODS = ["get", "post", "patch", "put", "delete"];
const byId = (id) => document.getElementById(id);

/** An element with properties and children; what is not there is left out. */
function make(tag, properties, ...children) {
  const element = document.createElement(tag);
  Object.assign(element, properties);
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}

/** Texts of the description, in which code stands between backticks. */
function prose(text, properties = {}) {
  const pieces = (text ?? "").split("`");
  return text ? make("p", properties, pieces.map((piece, index) => (index % 2 ? make("code", {}, piece) : piece))) : null;
}

/** What a reference stands for. */
function resolve(api, value) {
  let found = value;
  while (found && found.$ref) {
    found = found.$ref.slice(2).split("/").reduce((place, key) => place[key], api);
  }
  return found ?? {};
}

const nameOf = (schema) => schema?.$ref?.split("/").pop();

/** A schema in one line: type, limits. */
function inWords(api, schema) {
  const name = nameOf(schema);
  const found = resolve(api, schema);
  const options = found.oneOf ?? found.anyOf ?? found.allOf;
  if (options) return options.map((option) => inWords(api, option)).join(found.allOf ? " and " : " or ");
  if (found.properties && name) return name;
  if (found.enum) return found.enum.join(" | ");
  const type = [found.type ?? "any value"].flat().join(" or ");
  const limits = [];
  if (found.items) limits.push(`of ${inWords(api, found.items)}`);
  if (found.format) limits.push(found.format);
  const range = (least, most, unit) => {
    if (least !== undefined || most !== undefined) limits.push(`${least ?? 0} to ${most ?? "…"}${unit}`);
  };
  range(found.minLength, found.maxLength, " characters");
  range(found.minItems, found.maxItems, " entries");
  range(found.minimum, found.maximum, "");
  if (found.default !== undefined) limits.push(`default ${found.default}`);
  return [type, ...limits].join(", ");
}

/** The fields of an object's schema, each with its own inside. */
function fields(api, schema, depth = 0) {
  let found = resolve(api, schema);
  const objects = (found.oneOf ?? found.allOf ?? []).map((option) => resolve(api, option));
  found = objects.find((option) => option.properties) ?? found;
  if (found.items) return fields(api, found.items, depth);
  const inner = found.additionalProperties;
  if (!found.properties && inner && typeof inner === "object") return fields(api, inner, depth);
  if (!found.properties || depth > 3) return null;
  const list = make("dl");
  for (const [name, property] of Object.entries(found.properties)) {
    const required = (found.required ?? []).includes(name) ? ", required" : "";
    const about = property.description ?? resolve(api, property).description;
    list.append(
      make("dt", {}, name),
      make("dd", {}, make("code", {}, inWords(api, property) + required), prose(about),
        fields(api, property, depth + 1)),
    );
  }
  return list;
}

/** A value that a schema could take, to begin with: what is required, or the first field. */
function sample(api, schema) {
  const found = resolve(api, schema);
  const names = found.required ?? Object.keys(found.properties ?? {}).slice(0, 1);
  const value = {};
  for (const name of names) {
    const property = resolve(api, found.properties[name]);
    value[name] = property.enum ? property.enum[0] : property.type === "integer" ? 1 : "Try it";
  }
  return JSON.stringify(value, null, 2);
}

const quoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

/** The request that a form describes. */
function request(method, path, inputs, body, contentType) {
  const headers = new Headers();
  const query = new URLSearchParams();
  let filled = path;
  for (const { parameter, input } of inputs) {
    if (input.value === "") continue;
    if (parameter.in === "path") filled = filled.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
    if (parameter.in === "query") query.append(parameter.name, input.value);
    if (parameter.in === "header") headers.set(parameter.name, input.value);
  }
  const address = new URL(`.${filled}`, document.baseURI);
  address.search = query;
  const token = byId("token").value.trim();
  if (token) headers.set("Authorization", `Bearer ${token}`);
  if (body) headers.set("Content-Type", contentType);
  return { address, options: { method: method.toUpperCase(), headers, body: body?.value, cache: "no-store" } };
}

/** The same as a line for a shell. The token stays out of it. */
function curl({ address, options }) {
  const words = ["curl", "-i"];
  if (options.method !== "GET") words.push("-X", options.method);
  words.push(quoted(address.href));
  for (const [name, value] of options.headers) {
    words.push("-H", name === "authorization" ? '"Authorization: Bearer $TOKEN"' : quoted(`${name}: ${value}`));
  }
  if (options.body) words.push("--data-raw", quoted(options.body));
  return words.join(" ");
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

/** The form that tries an operation. */
function trial(api, method, path, operation) {
  const inputs = (operation.parameters ?? []).map((parameter) => {
    const needed = parameter.required ? " (required)" : "";
    const placeholder = String(parameter.example ?? "");
    const input = make("input", { required: Boolean(parameter.required), placeholder, spellcheck: false });
    return { parameter, input, label: make("label", {}, `${parameter.name}${needed}`, input) };
  });
  const content = operation.requestBody?.content ?? {};
  const [contentType, media] = Object.entries(content)[0] ?? [];
  const body = media ? make("textarea", { rows: 8, spellcheck: false, value: sample(api, media.schema) }) : null;
  const line = make("pre", { tabIndex: 0 });
  const answer = make("div", {});
  answer.setAttribute("aria-live", "polite");
  const form = make("form", { autocomplete: "off" }, make("h3", {}, "Try it"), inputs.map(({ label }) => label),
    body ? make("label", {}, `Body, ${contentType}`, body) : null, line,
    make("button", { type: "submit" }, "Send"), answer);
  const described = () => request(method, path, inputs, body, contentType);
  const refresh = () => {
    try {
      line.textContent = curl(described());
    } catch (error) { // a header that can't be sent
      line.textContent = error.message;
    }
  };
  form.addEventListener("input", refresh);
  byId("token").addEventListener("input", refresh);
  refresh();
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    answer.replaceChildren(make("p", {}, "Waiting…"));
    try {
      const { address, options } = described();
      const response = await fetch(address, options);
      const text = await response.text();
      const headers = [...response.headers].map(([name, value]) => `${name}: ${value}`).join("\n");
      answer.replaceChildren(
        make("p", { className: response.ok ? "" : "bad" }, make("b", {}, `${response.status} ${response.statusText}`)),
        make("pre", { tabIndex: 0 }, headers), text ? make("pre", { tabIndex: 0 }, pretty(text)) : null);
    } catch (error) {
      answer.replaceChildren(make("p", { className: "bad" }, String(error)));
    }
  });
  return form;
}

function parameters(api, operation) {
  const all = operation.parameters ?? [];
  if (!all.length) return null;
  const list = make("dl");
  for (const parameter of all) {
    const required = parameter.required ? ", required" : "";
    list.append(make("dt", {}, parameter.name), make("dd", {}, make("small", {}, `${parameter.in}: `),
      make("code", {}, inWords(api, parameter.schema) + required), prose(parameter.description)));
  }
  return [make("h3", {}, "Parameters"), list];
}

function answers(api, operation) {
  const list = make("dl");
  for (const [status, reference] of Object.entries(operation.responses)) {
    const response = resolve(api, reference);
    const names = Object.keys(response.headers ?? {}).join(", ");
    const media = Object.values(response.content ?? {})[0];
    const inside = status < 300 && media ? fields(api, media.schema) : null;
    list.append(make("dt", {}, status), make("dd", {}, prose(response.description), names ? make("p", { className: "soft" }, names) : null,
      inside ? make("details", {}, make("summary", {}, inWords(api, media.schema)), inside) : null));
  }
  return [make("h3", {}, "Answers"), list];
}

/** One operation: built when it is opened for the first time. */
function operationElement(api, method, path, operation) {
  const scopes = (operation.security ?? []).flatMap((one) => Object.values(one).flat());
  const element = make("details", { id: operation.operationId },
    make("summary", {}, make("b", {}, method.toUpperCase()), make("code", {}, path),
      make("span", { className: "soft" }, operation.summary ?? "")));
  element.addEventListener("toggle", () => {
    if (!element.open || element.children.length > 1) return;
    const media = Object.values(operation.requestBody?.content ?? {})[0];
    element.append(...[
      prose(operation.description),
      make("p", { className: "soft" }, scopes.length ? `Needs the scope ${scopes.join(", ")}` : "Open to everyone"),
      parameters(api, operation),
      media ? [make("h3", {}, "Body"), prose(resolve(api, media.schema).description), fields(api, media.schema)] : null,
      answers(api, operation),
      trial(api, method, path, operation),
    ].flat().filter(Boolean));
  });
  return element;
}

function show(api) {
  byId("about").replaceWith(prose(api.info.description, { id: "about" }));
  const contents = make("ul");
  for (const tag of api.tags ?? []) {
    const found = Object.entries(api.paths).flatMap(([path, item]) => METHODS.filter((method) =>
      item[method]?.tags?.includes(tag.name)).map((method) => [method, path, item[method]]));
    byId("operations").append(make("h2", {}, tag.name), prose(tag.description, { className: "soft" }) ?? "",
      ...found.map((one) => operationElement(api, ...one)));
    for (const [method, path, operation] of found) {
      contents.append(make("li", {}, make("a", { href: `#${operation.operationId}` }, `${method.toUpperCase()} ${path}`)));
    }
  }
  byId("contents").append(contents);
  const open = () => {
    const target = byId(location.hash.slice(1));
    if (target instanceof HTMLDetailsElement) {
      target.open = true;
      target.scrollIntoView();
    }
  };
  window.addEventListener("hashchange", open);
  open();
}

byId("access").addEventListener("submit", (event) => event.preventDefault());
fetch("openapi.json")
  .then((response) => (response.ok ? response.json() : Promise.reject(new Error(`status ${response.status}`))))
  .then(show)
  .catch((error) => {
    byId("about").textContent = `The description could not be read: ${error.message}`;
    byId("about").className = "bad";
  });

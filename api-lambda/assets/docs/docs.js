// Shows openapi.json as a page, with a form to try each operation. Text is never parsed as markup. URLs are relative to
// this page, because a stage may put a path before them.
"use strict";

const METHODS = ["get", "post", "patch", "put", "delete"];
const byId = (id) => document.getElementById(id);

/** Creates an element with properties and children. Empty children are left out. */
function create(tag, properties, ...children) {
  const element = document.createElement(tag);
  Object.assign(element, properties);
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}

/** A paragraph of the description, with code between backticks. */
function paragraph(text, properties = {}) {
  const pieces = (text ?? "").split("`");
  return text ? create("p", properties, pieces.map((piece, index) => (index % 2 ? create("code", {}, piece) : piece))) : null;
}

/** Follows the `$ref` of a value. */
function resolve(api, value) {
  let found = value;
  while (found && found.$ref) {
    found = found.$ref.slice(2).split("/").reduce((parent, key) => parent[key], api);
  }
  return found ?? {};
}

const nameOf = (schema) => schema?.$ref?.split("/").pop();

/** A schema in one line: its type and limits. */
function describe(api, schema) {
  const name = nameOf(schema);
  const found = resolve(api, schema);
  const options = found.oneOf ?? found.anyOf ?? found.allOf;
  if (options) return options.map((option) => describe(api, option)).join(found.allOf ? " and " : " or ");
  if (found.properties && name) return name;
  if (found.enum) return found.enum.join(" | ");
  const type = [found.type ?? "any value"].flat().join(" or ");
  const limits = [];
  if (found.items) limits.push(`of ${describe(api, found.items)}`);
  if (found.format) limits.push(found.format);
  const range = (min, max, unit) => {
    if (min !== undefined && max !== undefined) limits.push(`${min} to ${max}${unit}`);
    else if (min !== undefined) limits.push(`at least ${min}${unit}`);
    else if (max !== undefined) limits.push(`at most ${max}${unit}`);
  };
  range(found.minLength, found.maxLength, " characters");
  range(found.minItems, found.maxItems, " entries");
  range(found.minimum, found.maximum, "");
  if (found.default !== undefined) limits.push(`default ${found.default}`);
  return [type, ...limits].join(", ");
}

/** The fields of an object's schema, and their own fields. */
function fields(api, schema, depth = 0) {
  let found = resolve(api, schema);
  const objects = (found.oneOf ?? found.allOf ?? []).map((option) => resolve(api, option));
  found = objects.find((option) => option.properties) ?? found;
  if (found.items) return fields(api, found.items, depth);
  const inner = found.additionalProperties;
  if (!found.properties && inner && typeof inner === "object") return fields(api, inner, depth);
  if (!found.properties || depth > 3) return null;
  const list = create("dl");
  for (const [name, property] of Object.entries(found.properties)) {
    const required = (found.required ?? []).includes(name) ? ", required" : "";
    const about = property.description ?? resolve(api, property).description;
    list.append(
      create("dt", {}, name),
      create("dd", {}, create("code", {}, describe(api, property) + required), paragraph(about),
        fields(api, property, depth + 1)),
    );
  }
  return list;
}

/** A first request body for a schema: its required fields, or its first one. */
function sampleBody(api, schema) {
  const found = resolve(api, schema);
  const names = found.required ?? Object.keys(found.properties ?? {}).slice(0, 1);
  const value = {};
  for (const name of names) {
    const property = resolve(api, found.properties[name]);
    value[name] = property.enum ? property.enum[0] : property.type === "integer" ? 1 : "Try it";
  }
  return JSON.stringify(value, null, 2);
}

const shellQuote = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

/** The request of a form. */
function buildRequest(method, path, inputs, body, contentType) {
  const headers = new Headers();
  const query = new URLSearchParams();
  let filledPath = path;
  for (const { parameter, input } of inputs) {
    if (input.value === "") continue;
    if (parameter.in === "path") filledPath = filledPath.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
    if (parameter.in === "query") query.append(parameter.name, input.value);
    if (parameter.in === "header") headers.set(parameter.name, input.value);
  }
  const url = new URL(`.${filledPath}`, document.baseURI);
  url.search = query;
  const token = byId("token").value.trim();
  if (token) headers.set("Authorization", `Bearer ${token}`);
  if (body) headers.set("Content-Type", contentType);
  return { url, options: { method: method.toUpperCase(), headers, body: body?.value, cache: "no-store" } };
}

/** The request as a shell command. The token is not part of it. */
function curl({ url, options }) {
  const words = ["curl", "-i"];
  if (options.method !== "GET") words.push("-X", options.method);
  words.push(shellQuote(url.href));
  for (const [name, value] of options.headers) {
    words.push("-H", name === "authorization" ? '"Authorization: Bearer $TOKEN"' : shellQuote(`${name}: ${value}`));
  }
  if (options.body) words.push("--data-raw", shellQuote(options.body));
  return words.join(" ");
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

/** The form that sends a request to an operation. */
function tryForm(api, method, path, operation) {
  const inputs = (operation.parameters ?? []).map((parameter) => {
    const required = parameter.required ? " (required)" : "";
    const placeholder = String(parameter.example ?? "");
    const input = create("input", { required: Boolean(parameter.required), placeholder, spellcheck: false });
    return { parameter, input, label: create("label", {}, `${parameter.name}${required}`, input) };
  });
  const content = operation.requestBody?.content ?? {};
  const [contentType, media] = Object.entries(content)[0] ?? [];
  const body = media ? create("textarea", { rows: 8, spellcheck: false, value: sampleBody(api, media.schema) }) : null;
  const command = create("pre", { tabIndex: 0 });
  const result = create("div", {});
  result.setAttribute("aria-live", "polite");
  const form = create("form", { autocomplete: "off" }, create("h3", {}, "Try it"), inputs.map(({ label }) => label),
    body ? create("label", {}, `Body, ${contentType}`, body) : null, command,
    create("button", { type: "submit" }, "Send"), result);
  const currentRequest = () => buildRequest(method, path, inputs, body, contentType);
  const refresh = () => {
    try {
      command.textContent = curl(currentRequest());
    } catch (error) { // a header with characters that a browser does not send
      command.textContent = error.message;
    }
  };
  form.addEventListener("input", refresh);
  byId("token").addEventListener("input", refresh);
  refresh();
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    result.replaceChildren(create("p", {}, "Waiting for the response…"));
    try {
      const { url, options } = currentRequest();
      const response = await fetch(url, options);
      const text = await response.text();
      const headers = [...response.headers].map(([name, value]) => `${name}: ${value}`).join("\n");
      result.replaceChildren(
        create("p", { className: response.ok ? "" : "bad" }, create("b", {}, `${response.status} ${response.statusText}`)),
        create("pre", { tabIndex: 0 }, headers), text ? create("pre", { tabIndex: 0 }, pretty(text)) : null);
    } catch (error) {
      result.replaceChildren(create("p", { className: "bad" }, String(error)));
    }
  });
  return form;
}

function parameters(api, operation) {
  const all = operation.parameters ?? [];
  if (!all.length) return null;
  const list = create("dl");
  for (const parameter of all) {
    const required = parameter.required ? ", required" : "";
    list.append(create("dt", {}, parameter.name), create("dd", {}, create("small", {}, `${parameter.in}: `),
      create("code", {}, describe(api, parameter.schema) + required), paragraph(parameter.description)));
  }
  return [create("h3", {}, "Parameters"), list];
}

function responses(api, operation) {
  const list = create("dl");
  for (const [status, reference] of Object.entries(operation.responses)) {
    const response = resolve(api, reference);
    const names = Object.keys(response.headers ?? {}).join(", ");
    const media = Object.values(response.content ?? {})[0];
    const body = status < 300 && media ? fields(api, media.schema) : null;
    list.append(create("dt", {}, status), create("dd", {}, paragraph(response.description), names ? create("p", { className: "soft" }, names) : null,
      body ? create("details", {}, create("summary", {}, describe(api, media.schema)), body) : null));
  }
  return [create("h3", {}, "Responses"), list];
}

/** One operation. Its details are created when it is first opened. */
function operationElement(api, method, path, operation) {
  const scopes = (operation.security ?? []).flatMap((one) => Object.values(one).flat());
  const element = create("details", { id: operation.operationId },
    create("summary", {}, create("b", {}, method.toUpperCase()), create("code", {}, path),
      create("span", { className: "soft" }, operation.summary ?? "")));
  element.addEventListener("toggle", () => {
    if (!element.open || element.children.length > 1) return;
    const media = Object.values(operation.requestBody?.content ?? {})[0];
    element.append(...[
      paragraph(operation.description),
      create("p", { className: "soft" }, scopes.length ? `Requires the scope ${scopes.join(", ")}` : "No token required"),
      parameters(api, operation),
      media ? [create("h3", {}, "Body"), paragraph(resolve(api, media.schema).description), fields(api, media.schema)] : null,
      responses(api, operation),
      tryForm(api, method, path, operation),
    ].flat().filter(Boolean));
  });
  return element;
}

function show(api) {
  byId("about").replaceWith(paragraph(api.info.description, { id: "about" }));
  const contents = create("ul");
  for (const tag of api.tags ?? []) {
    const found = Object.entries(api.paths).flatMap(([path, item]) => METHODS.filter((method) =>
      item[method]?.tags?.includes(tag.name)).map((method) => [method, path, item[method]]));
    byId("operations").append(create("h2", {}, tag.name), paragraph(tag.description, { className: "soft" }) ?? "",
      ...found.map((one) => operationElement(api, ...one)));
    for (const [method, path, operation] of found) {
      contents.append(create("li", {}, create("a", { href: `#${operation.operationId}` }, `${method.toUpperCase()} ${path}`)));
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
  .then((response) => (response.ok ? response.json() : Promise.reject(new Error(`HTTP ${response.status}`))))
  .then(show)
  .catch((error) => {
    byId("about").textContent = `Could not load the API description: ${error.message}`;
    byId("about").className = "bad";
  });

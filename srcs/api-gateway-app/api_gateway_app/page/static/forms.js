// The dialogs of the shop. Each returns a promise: of what the API answered, or of null where the user gave up.

import { Trouble, call } from "./api.js";
import { h } from "./dom.js";
import { t } from "./text.js";

let fields = 0;

function field(name, value, properties = {}) {
  const { tag = "input", ...rest } = properties;
  fields += 1;
  const id = `field-${fields}`;
  const input = h(tag, { id, name, ...rest });
  input.value = value;
  return [h("label", { for: id }, t(`field.${name}`)), input];
}

// Shows a form; `send` gets its values and returns a promise of the answer. An error stays in the form.
function ask(title, contents, action, send, properties = {}) {
  return new Promise((resolve) => {
    const trouble = h("p", { class: "news bad", role: "alert" });
    const end = (result) => {
      dialog.close();
      dialog.remove();
      resolve(result);
    };
    const button = h("button", { class: properties.isDangerous ? "main danger" : "main" }, action);
    const form = h("form", {
      method: "dialog",
      onsubmit: async (event) => {
        event.preventDefault();
        button.disabled = true;
        try {
          end(await send(Object.fromEntries(new FormData(form))));
        } catch (error) {
          trouble.replaceChildren(...(error instanceof Trouble ? error.elements() : [t("error.other")]));
          button.disabled = false;
        }
      },
    }, h("h2", {}, title), contents, trouble,
    h("p", { class: "buttons" },
      h("button", { type: "button", onclick: () => end(null) }, t("cancel")), button));
    const dialog = h("dialog", { "aria-label": title, oncancel: () => end(null) }, form);
    document.body.append(dialog);
    dialog.showModal();
  });
}

export function editMovie(movie) {
  const contents = [
    ...field("title", movie.title ?? "", { required: true, maxlength: "255" }),
    ...field("description", movie.description ?? "", { tag: "textarea", rows: "5", maxlength: "10000" }),
  ];
  const [method, path] = movie.id ? ["PUT", `/api/movies/${movie.id}`] : ["POST", "/api/movies"];
  const send = async (values) => (await call(method, path, values)).answer;
  return ask(t(movie.id ? "form.edit" : "form.add"), contents, t("form.save"), send);
}

export function confirmDeletion(movie) {
  const send = async () => (await call("DELETE", `/api/movies/${movie.id}`)).answer;
  const question = h("p", {}, t("form.delete_what", movie));
  return ask(t("form.delete"), question, t("shop.delete"), send, { isDangerous: true });
}

export function orderMovie(movie) {
  const contents = [
    h("p", {}, movie.title),
    ...field("user_id", "guest", { required: true, maxlength: "255", autocomplete: "username" }),
    ...field("number_of_items", "1", { required: true, inputmode: "numeric", pattern: "[0-9]+" }),
    ...field("total_amount", "", { inputmode: "decimal", placeholder: "9.90" }),
  ];
  const send = async (values) => {
    const order = { film_id: movie.id, user_id: values.user_id, number_of_items: values.number_of_items };
    if (values.total_amount.trim()) order.total_amount = values.total_amount.trim().replace(",", ".");
    return (await call("POST", "/api/billing", order)).answer;
  };
  return ask(t("form.order"), contents, t("shop.order"), send);
}

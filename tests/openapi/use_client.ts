// Uses openapi-fetch with the types that openapi-typescript makes of openapi.yaml.
// Arguments: the gateway's address, its API_TOKEN.
import assert from "node:assert/strict";
import process from "node:process";
import { setTimeout } from "node:timers/promises";
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.d.ts";

const PATIENCE_MS = 30_000;
const [baseUrl = "", token] = process.argv.slice(2);
const client = createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${token}` } });

async function useMovies(): Promise<void> {
  const { data: movie } = await client.POST("/api/movies", { body: { title: "Alien" } });
  assert(movie);
  const { data: page } = await client.GET("/api/movies", { params: { query: { title: "alien", limit: 1 } } });
  assert.deepEqual(page?.movies, [movie]);
  const params = { path: { id: movie.id } };
  const { data: changed } = await client.PUT("/api/movies/{id}", { params, body: { description: "In space." } });
  assert.equal(changed?.description, "In space.");
  const { data: gone } = await client.DELETE("/api/movies/{id}", { params });
  assert.equal(gone?.deleted, 1);
  const { error } = await client.GET("/api/movies/{id}", { params });
  assert.equal(error?.status, 404);
}

async function useOrders(): Promise<void> {
  const order = await stored({ user_id: "20", number_of_items: 99, total_amount: 0.07 });
  assert.deepEqual([order.user_id, order.number_of_items, order.total_amount], ["20", 99, "0.07"]);
  const film = await stored({ user_id: "user123", film_id: 1 });
  assert.deepEqual([film.film_id, film.total_amount], [1, null]);
  const body = { user_id: "20", number_of_items: 0, total_amount: "0.07" };
  const { error } = await client.POST("/api/billing", { body });
  assert.deepEqual(error?.errors?.map((each) => each.field), ["number_of_items"]);
}

async function stored(body: components["schemas"]["NewOrder"]): Promise<components["schemas"]["StoredOrder"]> {
  const { data: accepted } = await client.POST("/api/billing", { body });
  assert(accepted);
  const params = { path: { order_id: accepted.order_id } };
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const { data: order, error } = await client.GET("/api/billing/{order_id}", { params });
    if (order) return order;
    assert(Date.now() < deadline, error?.detail);
    await setTimeout(50);
  }
}

const { error: refused } = await client.DELETE("/api/movies", { headers: { Authorization: "Bearer another" } });
assert.equal(refused?.status, 401);
await useMovies();
await useOrders();
const { data: readiness } = await client.GET("/health/ready");
assert.equal(readiness?.dependencies["inventory-app"]?.status, "up");
console.log("done");

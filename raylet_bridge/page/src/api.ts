// The bridge's HTTP API, asked relative to the page's own address: so it works behind a proxy's prefix too.

import { parseJson, type Json } from "base/web/json.ts";

const TOKEN_KEY = "netsense-token";
const TIMEOUT_MS = 20_000;

export class ApiError extends Error {
  /** 0: no answer at all. */
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

/** Kept until the tab is closed. */
export const token = {
  get: () => sessionStorage.getItem(TOKEN_KEY) ?? "",
  set: (value: string) => sessionStorage.setItem(TOKEN_KEY, value),
  forget: () => sessionStorage.removeItem(TOKEN_KEY),
};

async function ask(path: string): Promise<Response> {
  const headers: Record<string, string> = token.get() === "" ? {} : { Authorization: `Bearer ${token.get()}` };
  let answer: Response;
  try {
    answer = await fetch(path, { headers, cache: "no-store", signal: AbortSignal.timeout(TIMEOUT_MS) });
  } catch (error) {
    const late = error instanceof DOMException && error.name === "TimeoutError";
    throw new ApiError(0, late ? `no answer within ${TIMEOUT_MS / 1000} s` : "the bridge cannot be reached");
  }
  if (answer.ok) return answer;
  const told = await answer
    .arrayBuffer()
    .then(parseJson)
    .catch(() => null);
  throw new ApiError(answer.status, typeof told?.msg === "string" && told.msg !== "" ? told.msg : `HTTP ${answer.status}`);
}

async function bytes(answer: Response): Promise<ArrayBuffer> {
  try {
    return await answer.arrayBuffer();
  } catch {
    throw new ApiError(0, "the answer was cut off");
  }
}

export async function getMatrix(layer: number): Promise<ArrayBuffer> {
  return bytes(await ask(`api/v0/network_matrix?layer=${layer}`));
}

async function result(path: string): Promise<Json> {
  const told = parseJson(await bytes(await ask(path)));
  return told?.data?.result ?? {};
}

export const getEdge = (src: string, dst: string) => result(`api/v0/network_edge?src=${encodeURIComponent(src)}&dst=${encodeURIComponent(dst)}`);
export const getNode = (node: string) => result(`api/v0/network_node?node=${encodeURIComponent(node)}`);

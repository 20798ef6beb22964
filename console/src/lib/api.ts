/** The API as the pages use it: JSON in and out, problems as sentences. */
export class ApiProblem extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly reference: string,
  ) {
    super(message);
  }
}

export async function getJson<T>(path: string): Promise<T> {
  return (await answer(await fetch(path, { headers: { Accept: "application/json" } }))) as T;
}

export async function postJson<T>(path: string, body: unknown): Promise<T> {
  const request = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  return (await answer(await fetch(path, request))) as T;
}

async function answer(response: Response): Promise<unknown> {
  const text = await response.text();
  if (response.ok) return text ? JSON.parse(text) : null;
  let detail = `The server answered ${response.status}.`;
  let reference = "";
  try {
    const problem = JSON.parse(text) as { detail?: string; reference?: string };
    detail = problem.detail ?? detail;
    reference = problem.reference ?? "";
  } catch {
    // Not from our application (a proxy, say): the status is all there is to tell.
  }
  throw new ApiProblem(response.status, detail, reference);
}

export function problemWords(error: unknown): string {
  if (error instanceof ApiProblem) return error.reference ? `${error.message} (reference ${error.reference})` : error.message;
  return "The server cannot be reached.";
}

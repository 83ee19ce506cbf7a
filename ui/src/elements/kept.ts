// What elements fetch, and that it is fetched once as long as they are shown.
export const KEPT = { revalidateOnFocus: false, revalidateOnReconnect: false, shouldRetryOnError: false };

export async function fetchText(url: string): Promise<string> {
  const answer = await fetch(url, { credentials: 'include' });
  if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
  return answer.text();
}

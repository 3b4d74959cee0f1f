/** What an agent tells of itself. */
export interface AgentReport {
  readonly vips: readonly {
    readonly vip: string;
    readonly protocol: string;
    readonly established: number;
    readonly services: Readonly<Record<string, number>>;
  }[];
}

export async function fetchAgentReport(
  address: string,
  port: number,
  timeoutMs: number,
): Promise<AgentReport> {
  const host = address.includes(':') ? `[${address}]` : address;
  const response = await fetch(`http://${host}:${port}/report`, { signal: AbortSignal.timeout(timeoutMs) });
  return (await response.json()) as AgentReport;
}

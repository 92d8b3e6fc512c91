export interface Server {
  url: (query: Record<string, string | number>) => string;
  blocked(): Promise<number>;
  stop(): Promise<void>;
}
export function startServer(prior?: string): Promise<Server>;
export function ask(url: string): Promise<{ status: number; bytes: Buffer }>;

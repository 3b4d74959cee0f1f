// A reporter for node's test runner: for each file the time of its tests, and whether one failed, as one line of JSON a file.
export default async function* testFiles(source) {
  const files = new Map();
  for await (const { type, data } of source) {
    if ((type !== 'test:pass' && type !== 'test:fail') || data.file === undefined) continue;
    const { ms, failed } = files.get(data.file) ?? { ms: 0, failed: false };
    const isFailure = type === 'test:fail' && data.todo === undefined && data.skip === undefined;
    files.set(data.file, {
      ms: ms + (data.nesting === 0 ? data.details.duration_ms : 0),
      failed: failed || isFailure,
    });
  }
  for (const [path, { ms, failed }] of files) yield `${JSON.stringify({ path, ms, failed })}\n`;
}

// A reporter for node's test runner: the path of each file in which a test failed, one a line.
export default async function* failedFiles(source) {
  const told = new Set();
  for await (const { type, data } of source) {
    if (type !== 'test:fail' || data.file === undefined || told.has(data.file)) continue;
    if (data.todo !== undefined || data.skip !== undefined) continue;
    told.add(data.file);
    yield `${data.file}\n`;
  }
}

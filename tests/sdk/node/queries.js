// Queries for twins.

'use strict';

const { body, main, refused, same, step } = require('./steps');

const ALL = Array.from({ length: 25 }, (_, number) => `device-${String(number).padStart(2, '0')}`);
const INVALID = ['ArgumentError', 400, 'ArgumentInvalid'];

async function pages(hub, text, size) {
  const query = hub.createQuery(text, size);
  const found = [];
  while (query.hasMoreResults) found.push((await query.nextAsTwin()).result);
  return found;
}

main(async (hub) => {
  for (const [number, deviceId] of ALL.entries()) {
    await hub.create({ deviceId, status: number % 5 ? 'enabled' : 'disabled' });
    const tags = { site: number < 7 ? 'north' : 'south', number };
    await hub.updateTwin(deviceId, { tags, properties: { desired: { interval: number } } }, '*');
  }
  await hub.addModule({ deviceId: 'device-01', moduleId: 'module' });
  const rows = async (text) => (await pages(hub, text)).flat();
  const names = async (text) => (await rows(text)).map((twin) => twin.deviceId).sort();

  await step('all twins in several pages', async () => {
    const found = await pages(hub, 'SELECT * FROM devices', 10);
    same(found.map((page) => page.length), [10, 10, 5]);
    same(found.flat().map((twin) => twin.deviceId).sort(), ALL);
  });

  await step('a page says what its rows are', async () => {
    const { message } = await hub.createQuery('SELECT * FROM devices').nextAsTwin();
    same(message.headers['x-ms-item-type'].toLowerCase(), 'twin');
  });

  await step('selected fields', async () => {
    const query = hub.createQuery("SELECT deviceId, tags.number AS n FROM devices WHERE deviceId = 'device-03'");
    same((await query.next(null)).result, [{ deviceId: 'device-03', n: 3 }]);
  });

  await step('totals', async () => {
    const query = hub.createQuery('SELECT tags.site AS site, COUNT() AS total FROM devices GROUP BY tags.site');
    const totals = (await query.next(null)).result.map((row) => [row.site, row.total]);
    same(totals.sort(), [['north', 7], ['south', 18]]);
  });

  await step('by tags', async () => {
    same(await names("SELECT * FROM devices WHERE tags.site = 'north'"), ALL.slice(0, 7));
  });

  await step('by desired properties', async () => {
    const text = 'SELECT * FROM devices WHERE properties.desired.interval >= 20 AND NOT tags.number = 22';
    same(await names(text), [...ALL.slice(20, 22), ...ALL.slice(23)]);
  });

  await step('by status', async () => {
    same(await names("SELECT * FROM devices WHERE status = 'disabled'"), ALL.filter((_, number) => number % 5 === 0));
  });

  await step('by a list of ids', async () => {
    const text = "SELECT * FROM devices WHERE devices.deviceid IN ['device-03', 'device-20', 'nobody']";
    same(await names(text), ['device-03', 'device-20']);
  });

  await step('by a function', async () => {
    same(await names('SELECT * FROM devices WHERE NOT IS_DEFINED(tags.site)'), []);
  });

  await step('modules', async () => {
    const found = await rows('SELECT * FROM devices.modules');
    same(found.map((twin) => [twin.deviceId, twin.moduleId]), [['device-01', 'module']]);
  });

  await step('bad text', () => refused(...INVALID, () => hub.createQuery('SELECT everything, please').next(null)));

  await step('a continuation that was made up', () =>
    refused(...INVALID, () => hub.createQuery('SELECT * FROM devices', 10).next('made-up')));
});

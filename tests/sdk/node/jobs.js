// Scheduled jobs. The devices are there already: two in the north that answer, one in the south that is offline.
//
// The hub takes one job at a time.

'use strict';

const { JobClient } = require('azure-iothub');
const { assert, body, connect, main, refused, same, step, until } = require('./steps');

const NORTH = "tags.site = 'north'";

main(async (hub) => {
  const jobs = connect(JobClient);
  const update = async (id, condition, start = new Date()) =>
    (await jobs.scheduleTwinUpdate(id, condition, { etag: '*', tags: { batch: 7 } }, start, 60)).jobStatus;
  const read = async (id) => (await jobs.getJob(id)).jobStatus;
  const ended = (id) =>
    until(async () => {
      const job = await read(id);
      return ['completed', 'failed', 'cancelled'].includes(job.status) && job;
    });
  const counts = ({ status, deviceJobStatistics: it }) => [status, it.deviceCount, it.succeededCount, it.failedCount];

  await step('schedule a twin update', async () => {
    const job = await update('update', NORTH);
    same([job.jobId, job.type, job.queryCondition], ['update', 'scheduleUpdateTwin', NORTH]);
    assert(['queued', 'scheduled', 'running'].includes(job.status), job.status);
  });

  await step('follow it to its end', async () => {
    const job = await ended('update');
    same(counts(job), ['completed', 2, 2, 0]);
    assert(job.startTime && job.endTime);
  });

  await step('it has changed the twins it was for', async () => {
    const twins = await Promise.all(['north-1', 'north-2', 'south'].map((id) => body(hub.getTwin(id))));
    same(twins.map((twin) => twin.tags.batch), [7, 7, undefined]);
  });

  await step('schedule a method', async () => {
    const method = { methodName: 'echo', payload: { text: 'zwölf' }, responseTimeoutInSeconds: 10 };
    await jobs.scheduleDeviceMethod('call', '*', method, new Date(), 60);
    // The device that is offline is one that failed; the job as a whole did not.
    same(counts(await ended('call')), ['completed', 3, 2, 1]);
  });

  await step('ask for its devices', async () => {
    const query = hub.createQuery("SELECT * FROM devices.jobs WHERE devices.jobs.jobId = 'call'");
    const { result, message } = await query.next(null);
    same(message.headers['x-ms-item-type'], 'DeviceJob');
    same(result.map((row) => [row.deviceId, row.status]).sort(), [['north-1', 'completed'], ['north-2', 'completed'], ['south', 'failed']]);
    same(result.find((row) => row.deviceId === 'north-1').outcome.deviceMethodResponse.payload, { text: 'zwölf' });
  });

  await step('schedule for a condition that is none', async () => {
    await update('senseless', 'tags. =');
    const job = await ended('senseless');
    same(job.status, 'failed');
    assert(job.failureReason);
  });

  await step('schedule under a taken id', () =>
    refused('DeviceAlreadyExistsError', 409, 'JobAlreadyExists', () => update('update', NORTH)));

  await step('schedule under a bad id', () =>
    refused('ArgumentError', 400, 'ArgumentInvalid', () => update('Bad_Id', NORTH)));

  await step('plan one for later', async () => {
    const job = await update('later', NORTH, new Date(Date.now() + 3_600_000));
    assert(['queued', 'scheduled'].includes(job.status), job.status);
  });

  await step('one job too many', () =>
    refused('ThrottlingError', 429, 'ThrottlingMaxActiveJobCountExceeded', () => update('more', NORTH)));

  await step('list', async () => {
    const found = async (...filter) => {
      const query = jobs.createQuery(...filter);
      const rows = [];
      while (query.hasMoreResults) rows.push(...(await query.next(query.continuationToken)).result);
      return rows.map((job) => job.jobId).sort();
    };
    same(await found(undefined, undefined, 3), ['call', 'later', 'senseless', 'update']);
    same(await found('scheduleDeviceMethod'), ['call']);
    same(await found('scheduleUpdateTwin', 'completed'), ['update']);
  });

  await step('cancel', async () => {
    same((await jobs.cancelJob('later')).jobStatus.status, 'cancelled');
    same((await ended('later')).status, 'cancelled');
  });

  await step('cancel what has ended', () =>
    refused('Error', 405, 'OperationNotAllowedInCurrentState', () => jobs.cancelJob('update')));

  await step('read what does not exist', async () => {
    const job = await read('no-such-job');
    same([job.type, job.status], ['unknown', 'unknown']);
  });
});

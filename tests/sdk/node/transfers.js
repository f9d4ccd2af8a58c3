// Import and export jobs. The hub has two devices, and a file to import lies in the container `inbox`.
//
// Containers are folders here, and jobs begin only after a while, as in the real service.

'use strict';

const fs = require('node:fs');
const { KEY_1, assert, body, main, refused, same, step, until } = require('./steps');

const container = (name, permissions = 'rwdl') => `https://store.example/${name}?sv=2021&sp=${permissions}&sig=sesame`;
const lines = (blob) => fs.readFileSync(`${process.env.BLOB_DIR}/outbox/${blob}`, 'utf8').trim().split('\n');

main(async (hub) => {
  const start = (withoutKeys = false) => hub.exportDevicesToBlob(container('outbox'), withoutKeys);
  const ended = ({ jobId }) =>
    until(async () => {
      const job = await hub.getJob(jobId);
      return ['completed', 'failed', 'cancelled'].includes(job.status) && job;
    });

  await step('start an export', async () => {
    const job = await start();
    same([job.type, job.status, job.progress], ['export', 'enqueued', 0]);
    assert(job.jobId && job.startTimeUtc);
  });

  await step('a second job at once', () => refused('TooManyDevicesError', 403, 'JobQuotaExceeded', () => start()));

  await step('list', async () => {
    const jobs = await body(hub.listJobs());
    same(jobs.map((job) => [job.type, job.status]), [['export', 'enqueued']]);
  });

  await step('cancel', async () => {
    const [job] = await body(hub.listJobs());
    await hub.cancelJob(job.jobId);
    same((await ended(job)).status, 'cancelled');
  });

  await step('export all devices', async () => {
    const job = await ended(await start());
    same([job.status, job.progress], ['completed', 100]);
    assert(job.endTimeUtc);
    const devices = lines('devices.txt').map((line) => JSON.parse(line));
    same(devices.map((it) => it.id).sort(), ['device-1', 'device-2']);
    assert(devices.every((it) => it.authentication.symmetricKey.primaryKey));
  });

  await step('export without keys', async () => {
    same((await ended(await start(true))).status, 'completed');
    const [, ...devices] = lines('devices.txt');
    assert(devices.length && devices.every((line) => !JSON.parse(line).authentication.symmetricKey.primaryKey));
  });

  await step('import', async () => {
    const created = await hub.importDevicesFromBlob(container('inbox'), container('outbox'));
    same(created.inputBlobContainerUri, container('inbox'));
    const job = await ended(created);
    // Lines that fail do not make the job fail.
    same([job.status, job.inputBlobContainerUri], ['completed', undefined]);
    same((await body(hub.get('imported'))).authentication.symmetricKey.primaryKey, KEY_1);
    const errors = lines('importErrors.log').map((line) => JSON.parse(line));
    same(errors.map((it) => [it.deviceId, it.errorCode]), [['no-such-device', 404001]]);
  });

  await step("export as another identity than a signature's", async () => {
    const identity = '/subscriptions/s/identities/hub';
    const job = await hub.exportDevicesToBlobByIdentity('https://store.example/outbox', false, identity);
    same([job.storageAuthenticationType, job.identity.userAssignedIdentity], ['identityBased', identity]);
    await hub.cancelJob(job.jobId);
  });

  await step('a container that must not be written to', () =>
    refused('ArgumentError', 400, 'BlobContainerValidationError', () =>
      hub.exportDevicesToBlob(container('outbox', 'r'), false)));

  await step('read what does not exist', () => refused('Error', 404, 'JobNotFound', () => hub.getJob('no-such-job')));

  await step('cancel what does not exist', () =>
    refused('Error', 404, 'JobNotFound', () => hub.cancelJob('no-such-job')));
});

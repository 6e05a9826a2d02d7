import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { hasStrangersBelow } from '../../src/cli/public-suffixes.ts';

describe('hasStrangersBelow', () => {
  const shared = [
    'com', // the list's first part
    'co.uk',
    'github.io', // its private part
    's3.amazonaws.com',
    'amazonaws.com', // one lies below it
    'compute.amazonaws.com', // any label below it is one
    'core.windows.net',
    'windows.net',
    'azure.com', // one that the list has not
    'eastus.cloudapp.azure.com',
    'fastly.net',
    'prod.fastly.net',
    'eu-west-1.compute.amazonaws.com', // named by an asterisk of the list
    'kawasaki.jp',
  ];
  for (const name of shared) test(name, () => assert.equal(hasStrangersBelow(name), true));
  const own = [
    'example.com',
    'debian.org',
    'pkg.debian.org',
    'npmjs.org',
    'octo.github.io',
    'bucket.s3.amazonaws.com',
    'www.ck', // an exception of the list
    'city.kawasaki.jp',
    'vm.eastus.cloudapp.azure.com',
    'cdn.npm.example',
  ];
  for (const name of own) test(`not ${name}`, () => assert.equal(hasStrangersBelow(name), false));
});

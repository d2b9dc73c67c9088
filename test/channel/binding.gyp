# The core's channel under a thin addon of the tests: no lib/, no src/binding/. test/helpers/channel-addon.js builds it
# from a copy of the sources.
{
  'targets': [
    {
      'target_name': 'channel_test',
      'include_dirs': ['src'],
      'defines': ['_GNU_SOURCE', 'NAPI_VERSION=8'],
      'cflags': ['-Wall', '-Wextra', '-Werror'],
      'cflags_c': ['-std=c11'],
      'cflags!': ['-Wno-unused-parameter'],
      'sources': ['channel_addon.c', '<!@(ls src/core/*.c)'],
    },
  ],
}

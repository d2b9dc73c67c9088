{
  # Options of scripts/build.js: --werror, --sanitize, --coverage. zig: of scripts/prebuild.js.
  'variables': {
    'werror%': 0,
    'sanitize%': 0,
    'coverage%': 0,
    'zig%': 0,
  },
  'target_defaults': {
    'include_dirs': ['src'],
    'cflags': ['-Wall', '-Wextra', '-fvisibility=hidden'],
    'cflags_c': ['-std=c11'],
    'cflags!': ['-Wno-unused-parameter'],
    'xcode_settings': {
      'GCC_C_LANGUAGE_STANDARD': 'c11',
      'GCC_SYMBOLS_PRIVATE_EXTERN': 'YES',
      'CLANG_CXX_LIBRARY': 'libc++',
      'MACOSX_DEPLOYMENT_TARGET': '11.0',
      'WARNING_CFLAGS': ['-Wall', '-Wextra'],
    },
    'conditions': [
      ['OS=="linux"', {
        'defines': ['_GNU_SOURCE'],
      }],
      ['werror==1', {
        'cflags': ['-Werror'],
        'xcode_settings': {'GCC_TREAT_WARNINGS_AS_ERRORS': 'YES'},
      }],
      ['sanitize==1', {
        'cflags': [
          '-fsanitize=address,undefined',
          '-fno-sanitize-recover=undefined',
          '-fno-omit-frame-pointer',
          '-g',
          '-O1',
        ],
        'ldflags': ['-fsanitize=address,undefined'],
      }, {
        'cflags': ['-O3'], # for loops over characters, which O2 leaves as they are
      }],
      ['coverage==1', {
        'cflags': ['--coverage', '-O1'],
        'ldflags': ['--coverage'],
      }],
    ],
  },
  'targets': [
    {
      'target_name': 'forkwire_core',
      'type': 'static_library',
      'sources': [
        'src/core/body.c',
        'src/core/buffer.c',
        'src/core/frame.c',
        'src/core/ancillary.c',
        'src/core/closer.c',
        'src/core/fd_kind.c',
        'src/core/keys.c',
        'src/core/ledger.c',
        'src/core/segment.c',
        'src/core/segment_map.c',
        'src/core/segment_pool.c',
        'src/core/slot.c',
        'src/core/read_queue.c',
        'src/core/write_queue.c',
        'src/core/control.c',
        'src/core/channel.c',
        'src/core/counts.c',
        'src/core/descendant.c',
        'src/core/ends.c',
        'src/core/flush.c',
        'src/core/gather.c',
        'src/core/hub.c',
        'src/core/missing.c',
        'src/core/nesting.c',
        'src/core/node_frame.c',
        'src/core/node_reader.c',
        'src/core/node_wire.c',
        'src/core/node_writer.c',
        'src/core/reading.c',
        'src/core/spin.c',
        'src/core/standby.c',
        'src/core/trace.c',
      ],
    },
    {
      'target_name': 'forkwire',
      'dependencies': ['forkwire_core'],
      'include_dirs': [
        '<!(node -p "require(\'node-addon-api\').include_dir")',
      ],
      'defines': [
        'NAPI_VERSION=8',
        'NODE_ADDON_API_DISABLE_CPP_EXCEPTIONS',
        'NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS',
      ],
      'sources': [
        'src/binding/module.cc',
        'src/binding/environment.cc',
        'src/binding/batch.cc',
        'src/binding/channel.cc',
        'src/binding/direct.cc',
        'src/binding/options.cc',
        'src/binding/sources.cc',
        'src/binding/bodies.cc',
        'src/binding/text.cc',
      ],
      'conditions': [
        ['OS=="linux"', {
          # All symbols are resolved at load time, so that a binary that does not fit the running Node
          # fails in require() and not in the middle of a message. It stays loaded: each time that the last Worker unloaded it,
          # what the C++ library allocates when it is loaded, 72 KB, would be lost.
          # Threads of src/core/closer.c may be about as well.
          'ldflags': ['-Wl,-z,now', '-Wl,-z,nodelete'],
        }],
        ['zig==1', {
          'sources': ['src/binding/zig_runtime.cc'],
          'cflags_cc': ['-fvisibility-global-new-delete=force-hidden'],
        }],
        ['OS=="linux" and sanitize!=1 and zig!=1', {
          'ldflags': ['-static-libstdc++', '-static-libgcc', '-Wl,--exclude-libs,ALL'],
        }],
      ],
    },
  ],
}

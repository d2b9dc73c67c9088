// The files of lib/, read when the addon is loaded: a process may be out of descriptors, or its folder gone, when it needs one.
#ifndef FW_BINDING_SOURCES_H
#define FW_BINDING_SOURCES_H

#include <string>
#include <vector>

class Sources {
public:
  // All JavaScript files of a folder, as far as they can be read.
  void Read(const std::string& folder);
  // The text of a file by its path; nullptr where it is not known.
  const std::string* Find(const std::string& file) const;

private:
  struct Source {
    std::string file;
    std::string text;
  };
  std::vector<Source> sources_;
};

#endif

namespace Evenkeel.Tests.Store;

/// <summary>A program that says which version of etcd it is, and otherwise runs until it is ended.</summary>
internal static class FakeEtcd
{
    public static string In(string directory)
    {
        var program = Path.Combine(directory, "fake-etcd");
        File.WriteAllText(program, "#!/bin/sh\n[ \"$1\" != --version ] || { echo 'etcd Version: 3.5.9'; exit; }\nwhile :; do sleep 0.1; done\n");
        File.SetUnixFileMode(program, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        return program;
    }
}

namespace Evenkeel.Tests.Store;

/// <summary>A program that says which version of etcd it is, and otherwise runs until it is ended.</summary>
internal static class FakeEtcd
{
    private const string Text = "#!/bin/sh\n[ \"$1\" != --version ] || { echo 'etcd Version: 3.5.9'; exit; }\nwhile :; do sleep 0.1; done\n";

    public static string In(string directory)
    {
        var program = Path.Combine(directory, "fake-etcd");
        if (!File.Exists(program))
        {
            // Not written by this process: a child that another test begins meanwhile would have the file open for writing, and it
            // could not be run ("text file busy").
            using var writer = System.Diagnostics.Process.Start("/bin/sh", ["-c", "printf %s \"$1\" >\"$0\" && chmod 700 \"$0\"", program, Text]);
            writer.WaitForExit();
        }

        return program;
    }
}

using System.CommandLine;

namespace Evenkeel.Cli;

/// <summary>The tree of commands. Nothing is done before parsing: start-up time is what every user pays every time.</summary>
public static class CommandLine
{
    /// <summary>Parses and runs; the result is the process's exit code (see docs/operations/exit-codes.md).</summary>
    public static int Run(string[] arguments)
    {
        var root = new RootCommand("Keeps services running: one file says what, the cluster decides where, and proves that it does.");
        return root.Parse(arguments).Invoke();
    }
}

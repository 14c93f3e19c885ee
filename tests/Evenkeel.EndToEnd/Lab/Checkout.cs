using System.Diagnostics;

namespace Evenkeel.EndToEnd.Lab;

/// <summary>The program as a user of this checkout gets it: built by the launcher (part machine code, the guard all of it).</summary>
internal static class Checkout
{
    private static readonly Lazy<string> program = new(Build);

    public static string Root { get; } = FindRoot();
    public static string Program => program.Value;

    private static string Build()
    {
        using var launcher = Process.Start(new ProcessStartInfo(Path.Combine(Root, "evenkeel"), ["version"]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var errors = launcher.StandardError.ReadToEndAsync();
        launcher.StandardOutput.ReadToEnd();
        launcher.WaitForExit();
        if (launcher.ExitCode != 0) throw new InvalidOperationException($"./evenkeel version: {errors.Result}");
        // The nodes inherit it: the program itself looks in the usual places only.
        if (Environment.GetEnvironmentVariable("DOTNET_ROOT") is null or "")
            Environment.SetEnvironmentVariable("DOTNET_ROOT", Path.GetFullPath(Path.Combine(System.Runtime.InteropServices.RuntimeEnvironment.GetRuntimeDirectory(), "../../..")));
        return Path.Combine(Root, "artifacts", "evenkeel", "evenkeel");
    }

    private static string FindRoot()
    {
        var directory = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(directory.FullName, "Evenkeel.slnx")))
            directory = directory.Parent ?? throw new InvalidOperationException("the tests run outside of a checkout");
        return directory.FullName;
    }
}

using System.Diagnostics;
using Xunit;

namespace Evenkeel.Tests.Cli;

/// <summary>The launcher script in a checkout of its own, with a `dotnet` that only notes what it was asked.</summary>
public sealed class LauncherTests : IDisposable
{
    private static readonly string[] s_tools =
        ["bash", "cat", "chmod", "dirname", "find", "flock", "grep", "head", "mkdir", "mv", "readlink", "rm", "sort", "touch", "uname"];

    // Publishes by writing a program that prints its directory and arguments; fails where the test says so.
    private const string FakeDotnet = """
        #!/bin/bash
        if [ "$1" = --list-sdks ]; then echo '10.0.100 [/sdk]'; exit; fi
        echo "$*" >> "$CHECKOUT/calls"
        [ -e "$CHECKOUT/no-aot" ] && case "$*" in *PublishAot=true*) exit 1 ;; esac
        [ -e "$CHECKOUT/broken" ] && { echo 'Thing.cs(1,2): error CS1002: ; expected'; exit 1; }
        while [ $# -gt 1 ]; do [ "$1" = -o ] && to=$2; shift; done
        mkdir -p "$to"; printf '#!/bin/bash\necho "$PWD|$*"\n' > "$to/evenkeel"; chmod +x "$to/evenkeel"
        """;

    private readonly TemporaryDirectory _checkout = new();
    private readonly TemporaryDirectory _elsewhere = new();

    public LauncherTests()
    {
        File.Copy(Path.Combine(Repository.Root, "evenkeel"), Path.Combine(_checkout.Path, "evenkeel"));
        Directory.CreateDirectory(Path.Combine(_checkout.Path, "src/Evenkeel.Guard"));
        _checkout.Write("src/Thing.cs", "");
        Directory.CreateDirectory(Path.Combine(_checkout.Path, "bin"));
        foreach (var tool in s_tools)
            File.CreateSymbolicLink(Path.Combine(_checkout.Path, "bin", tool), File.Exists("/usr/bin/" + tool) ? "/usr/bin/" + tool : "/bin/" + tool);
        // A linker, so that compiling ahead of time is tried; only its presence is asked for.
        File.CreateSymbolicLink(Path.Combine(_checkout.Path, "bin", "gcc"), "/bin/true");
    }

    public void Dispose()
    {
        _checkout.Dispose();
        _elsewhere.Dispose();
    }

    [Fact]
    public void Run_WithoutTheSdk_SaysWhatToInstall()
    {
        var (code, output, error) = Run("status");
        Assert.Equal((1, ""), (code, output));
        Assert.Contains("the .NET 10 SDK is needed", error, StringComparison.Ordinal);
        Assert.Contains("apt-get install dotnet-sdk-10.0", error, StringComparison.Ordinal);
    }

    [Fact]
    public void Run_FromElsewhere_BuildsThenRunsThereWithTheArguments()
    {
        InstallSdk();
        var (code, output, error) = Run("config", "check", "my file.yaml");
        Assert.Equal((0, $"{_elsewhere.Path}|config check my file.yaml\n"), (code, output));
        Assert.StartsWith("evenkeel: building", error, StringComparison.Ordinal);
    }

    [Fact]
    public void Run_WithNothingToBuild_IsQuiet_UntilASourceIsNewer()
    {
        InstallSdk();
        Run();
        var calls = Calls().Length;
        Assert.Equal("", Run().Error);
        Assert.Equal(calls, Calls().Length);
        File.SetLastWriteTimeUtc(Path.Combine(_checkout.Path, "src/Thing.cs"), DateTime.UtcNow.AddSeconds(10));
        Assert.StartsWith("evenkeel: building", Run().Error, StringComparison.Ordinal);
    }

    [Fact]
    public void Run_WhereTheGuardCannotBeCompiledAhead_BuildsItOtherwiseAndSaysSo()
    {
        InstallSdk();
        _checkout.Write("no-aot", "");
        var (code, _, error) = Run();
        Assert.Equal(0, code);
        Assert.Contains("not compiled ahead of time", error, StringComparison.Ordinal);
        Assert.Contains(Calls(), call => call.Contains("PublishAot=true", StringComparison.Ordinal));
        Assert.Contains(Calls(), call => call.Contains("Evenkeel.Guard", StringComparison.Ordinal) && call.Contains("PublishAot=false", StringComparison.Ordinal));
    }

    [Fact]
    public void Run_WhenTheBuildFails_ShowsTheErrorsAndRunsNothing()
    {
        InstallSdk();
        _checkout.Write("broken", "");
        var (code, output, error) = Run();
        Assert.Equal((1, ""), (code, output));
        Assert.Contains("error CS1002", error, StringComparison.Ordinal);
        Assert.StartsWith("evenkeel: building", Run().Error, StringComparison.Ordinal);
    }

    private string[] Calls() => File.ReadAllLines(Path.Combine(_checkout.Path, "calls"));

    private void InstallSdk() => File.SetUnixFileMode(_checkout.Write("bin/dotnet", FakeDotnet), UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);

    private (int Code, string Output, string Error) Run(params string[] arguments)
    {
        var start = new ProcessStartInfo(Path.Combine(_checkout.Path, "bin/bash"), [Path.Combine(_checkout.Path, "evenkeel"), .. arguments])
        {
            WorkingDirectory = _elsewhere.Path, RedirectStandardOutput = true, RedirectStandardError = true,
            Environment = { ["PATH"] = Path.Combine(_checkout.Path, "bin"), ["CHECKOUT"] = _checkout.Path, ["DOTNET_ROOT"] = "/nonexistent" },
        };
        using var process = Process.Start(start)!;
        var error = process.StandardError.ReadToEndAsync();
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output, error.Result);
    }
}

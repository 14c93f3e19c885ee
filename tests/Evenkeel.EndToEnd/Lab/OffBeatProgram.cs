using Evenkeel.Agent.Local;

namespace Evenkeel.EndToEnd.Lab;

/// <summary>The program with clocks that run at another rate than the kernel's, for who starts it with <c>BOOT_RATE</c> and <c>RAW_RATE</c> (see clock-rate.c).</summary>
internal sealed class OffBeatProgram : IDisposable
{
    private readonly string directory;

    private OffBeatProgram(string directory) => this.directory = directory;

    public string File => Path.Combine(directory, "evenkeel");

    public static async Task<OffBeatProgram> MakeAsync(CancellationToken cancellation)
    {
        var program = Checkout.Program;
        // Beside the original: links need the same file system.
        var made = new OffBeatProgram(Path.Combine(Checkout.Root, "artifacts", $"off-beat-{Environment.ProcessId}"));
        made.Dispose();
        await SystemCommand.RunAsync(["cp", "-al", Path.GetDirectoryName(program)!, made.directory], cancellation);
        // .NET looks for what it imports beside the program first.
        await SystemCommand.RunAsync(["gcc", "-O1", "-shared", "-fPIC", "-o", Path.Combine(made.directory, "libc.so"), Path.Combine(AppContext.BaseDirectory, "Lab", "clock-rate.c")], cancellation);
        return made;
    }

    public void Dispose()
    {
        if (Directory.Exists(directory)) Directory.Delete(directory, recursive: true);
    }
}

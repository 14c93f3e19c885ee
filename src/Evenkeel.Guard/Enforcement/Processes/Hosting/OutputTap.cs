using Evenkeel.Guard.Enforcement.Native;

namespace Evenkeel.Guard.Enforcement.Processes.Hosting;

/// <summary>
/// The reading end of an action's standard output or error. What comes before the action's end is its answer; what a daemon that
/// it left behind writes later goes to the instance's log. Closing the pipe instead would kill such a daemon at its next line.
/// </summary>
internal sealed unsafe class OutputTap(int descriptor) : IDisposable
{
    private const int MostBytes = 64 * 1024;
    private readonly MemoryStream answer = new();
    private bool answered;

    public int Descriptor { get; private set; } = descriptor;

    /// <summary>Reads what is there; closes at the end.</summary>
    public void Read()
    {
        var block = stackalloc byte[4096];
        while (Descriptor >= 0)
        {
            var entry = new PollEntry { Descriptor = Descriptor, Wanted = PollEntry.In };
            if (Libc.poll(&entry, 1, 0) <= 0) return;
            var count = Libc.read(Descriptor, block, 4096);
            if (count <= 0)
            {
                Dispose();
                return;
            }
            if (answered) _ = Libc.write(1, block, count);
            else if (answer.Length + count <= MostBytes) answer.Write(new ReadOnlySpan<byte>(block, (int)count));
        }
    }

    /// <summary>The answer, at most 64 KiB; what follows goes to the log.</summary>
    public string Answer()
    {
        Read();
        answered = true;
        return System.Text.Encoding.UTF8.GetString(answer.GetBuffer(), 0, (int)answer.Length);
    }

    public void Dispose()
    {
        if (Descriptor >= 0) _ = Libc.close(Descriptor);
        Descriptor = -1;
    }
}

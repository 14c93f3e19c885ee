using Microsoft.Win32.SafeHandles;

namespace Evenkeel.Cli;

/// <summary>
/// The process's standard output. The console's own writer keeps silent when the reader of a pipe has gone, so that
/// <c>evenkeel events --follow | head -1</c> would never end; into a pipe a stream of our own is used, which says so.
/// </summary>
internal static class StandardOutput
{
    public static TextWriter Open()
    {
        if (!Console.IsOutputRedirected)
            return Console.Out;
        try
        {
            var stream = new FileStream(new SafeFileHandle(1, ownsHandle: false), FileAccess.Write, bufferSize: 1);
            // A file may be shared with standard error, and a stream of our own would keep its own position in it.
            return stream.CanSeek ? Console.Out : new StreamWriter(stream) { AutoFlush = true };
        }
        // Closed (>&-): the console's own writer drops what nobody can read.
        catch (Exception exception) when (exception is IOException or ArgumentException or UnauthorizedAccessException)
        {
            return Console.Out;
        }
    }
}

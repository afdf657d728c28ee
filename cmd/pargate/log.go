package main

import (
	"bytes"
	"io"
	stdlog "log"
	"os"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"pargate/config"
	"pargate/pushstore"
)

// newLogger logs to w: JSON, or lines for people where w is a terminal.
func newLogger(cfg *config.Config, w io.Writer) *zap.Logger {
	level, err := zapcore.ParseLevel(string(cfg.LogLevel))
	if err != nil {
		level = zap.InfoLevel
	}
	fields := zap.NewProductionEncoderConfig()
	fields.TimeKey, fields.EncodeTime = "time", zapcore.ISO8601TimeEncoder
	fields.EncodeDuration = zapcore.StringDurationEncoder
	encoder := zapcore.NewJSONEncoder(fields)
	if cfg.LogFormat == config.LogConsole || cfg.LogFormat == config.LogAuto && isTerminal(w) {
		fields.EncodeLevel = zapcore.CapitalLevelEncoder
		encoder = zapcore.NewConsoleEncoder(fields)
	}
	return zap.New(zapcore.NewCore(encoder, zapcore.Lock(zapcore.AddSync(printable{w})), level))
}

// hushLibraries lets nothing be said on standard error that is not pargate's, until serve says where it goes: of a connection
// that misbehaves net/http quotes what came, which may be a code, and go-redis repeats what check tells in its own words. They
// are settings of the whole process, for main to make.
func hushLibraries() {
	stdlog.SetOutput(io.Discard)
	pushstore.LogRedis(func(string) {})
}

// takeStandardLog sends what net/http says of the process's connections to log, instead of to standard error. It is a setting
// of the whole process, for main to make once.
func takeStandardLog(log *zap.Logger) {
	stdlog.SetFlags(0)
	stdlog.SetOutput(unquoted{log})
}

// unquoted logs lines up to what they quote: that may be an upstream's answer, with codes and sessions in it.
type unquoted struct{ log *zap.Logger }

// Write implements io.Writer.
func (w unquoted) Write(line []byte) (int, error) {
	text, _, _ := bytes.Cut(bytes.TrimSpace(line), []byte{'"'})
	w.log.Warn("net/http", zap.ByteString("message", text))
	return len(line), nil
}

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
